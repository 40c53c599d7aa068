"""A station's folder that was put back from a copy: its ledger may have forgotten what came in since the copy was made.

`lockgate restore` says so of the whole folder, since nothing inside it can tell. Where the database alone was put back,
the station sees it when it starts: its audit log tells of a bundle that its ledger does not know. Either way no stream
takes a bundle until two people have entered where it stood (appliance.store.writes.floors).

A restored outside would give a number out twice, which the inside takes for a fork. It is told where its streams stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act, mark
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.port import FileAudit
from appliance.lifecycle.forgotten import last_event
from appliance.paths import StationPaths
from appliance.store.database import open_writer
from appliance.store.database_file import structure_of
from appliance.store.reads.decisions import last_restore
from appliance.store.reads.ledger import heads as ledger_heads
from appliance.store.reads.ledger import is_in_ledger
from appliance.store.reads.sites import known_streams
from appliance.store.writer.service import LocalWriter
from appliance.store.writes.checks import NoteWentBack
from appliance.store.writes.ledger import EnterReceipt, ShutImports
from appliance.store.writes.outgoing import EnterHead
from appliance.store.writes.write import Guarded
from bundles import limits
from bundles.documents.audit_log import segments
from bundles.errors import FailedError, MalformedError, UsageError
from bundles.format.manifest import bundle_id
from bundles.oci.digest import Digest
from bundles.oci.reference import check_site

_MARK: Final = mark(Act.INTAKE_INSPECT)
"""The first act on a bundle that is recorded after the ledger took it (an import that was cut off leaves none), as it
stands in an event's line: within a text its quotes would be escaped."""
ACT: Final = Act.RESTORE


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream stood: its last number and that bundle's digest."""

    stream: str
    sequence: int
    digest: str


def shut_imports(paths: StationPaths, actor: str, at: str) -> list[dict[str, Any]]:
    """Shut imports in a station that does not run, `at` as the event of it says; where each stream stood in this copy:
    {stream, sequence, digest}.

    Raises FailedError for a database that is damaged: then the copy is not one to go on with.
    """
    with closing(open_writer(paths.database)) as connection:
        found = structure_of(connection)
        if found != "ok":
            raise FailedError("the copy's database is damaged", thing=found, remedy="put back an older copy")
        Guarded(LocalWriter(connection)).submit(ShutImports(actor=actor, at=at, known=True))
        return [asdict(head) for head in ledger_heads(connection)]


def enter_receipt(paths: StationPaths, number: int, raw: bytes) -> None:
    """Say of an inside station that does not run which receipt it gave out last, `raw` being one of its own: the other
    side takes no second one under a number. Raises RefusedError as `EnterReceipt`."""
    with closing(open_writer(paths.database)) as connection:
        write = EnterReceipt(number=number, digest=str(Digest.of(raw)), document=raw.decode(), at=clock.now())
        Guarded(LocalWriter(connection)).submit(write)


def enter_heads(paths: StationPaths, heads: Sequence[Head]) -> list[dict[str, Any]]:
    """Say of an outside station that does not run where its streams stood; every stream of the copy is to be named.

    Raises UsageError naming a stream that is not, RefusedError as `EnterHead`.
    """
    with closing(open_writer(paths.database)) as connection:
        streams = known_streams(connection)
        for stream in sorted(streams - {head.stream for head in heads}):
            raise UsageError(
                "a restored outside must know where its streams stood",
                thing=stream,
                remedy="give --head ID=DIGEST of its last bundle: sha256sum SHA256SUMS on its medium, or a receipt",
            )
        writer = Guarded(LocalWriter(connection))
        for head in heads:
            writer.submit(EnterHead(stream=head.stream, sequence=head.sequence, digest=head.digest, at=clock.now()))
    return [{"stream": head.stream, "sequence": head.sequence, "digest": head.digest} for head in heads]


def parse_head(text: str, site: str) -> Head:
    """`<stream>-<sequence>=sha256:…`, of a stream from `site`. Raises UsageError."""
    name, _, digest = text.partition("=")
    stream, _, number = name.rpartition("-")
    source, _, destination = stream.partition(".")
    try:
        check_site(destination)
        well = Digest.parse(digest).algorithm == "sha256" and source == site
        sequence = int(number) if number.isascii() and number.isdigit() else 0
    except MalformedError:
        well = False
    if not well or not 1 <= sequence <= limits.SEQUENCE or bundle_id(stream, sequence) != name:
        raise UsageError(
            "not a stream's head", thing=repr(text)[:120], remedy=f"write {site}.DESTINATION-000007=sha256:DIGEST"
        )
    return Head(stream, sequence, digest)


def shut_if_forgotten(paths: StationPaths) -> str:
    """Before the station starts: shut imports where the audit log knows of a bundle that the ledger does not.

    Returns that bundle's id, or "" where nothing is missing or people know of it already.
    """
    last = _last_inspected(paths.audit)
    if last is None:
        return ""
    with closing(open_writer(paths.database)) as connection:
        digest = last["detail"].get("digest")
        shut = last_restore(connection)
        if is_in_ledger(connection, digest) or (shut and shut >= last["time"]):
            return ""
        name = str(last["thing"])
        why = f"the audit log knows {name}, which the ledger does not"
        at = clock.now()
        with recording(FileAudit(paths.audit), AuditEvent(ACT, "station", name, "done", {"why": why, "at": at})):
            Guarded(LocalWriter(connection)).submit(ShutImports(actor="station", at=at))
    return name


def note_went_back(paths: StationPaths, what: str) -> None:
    """Before the station starts: keep that the database forgot something, for status, health, probes and collections.
    Raises FailedError."""
    event = AuditEvent(Act.METADATA_DAMAGED, "station", "metadata", "done", {"found": [what], "count": "1"})
    with closing(open_writer(paths.database)) as connection, recording(FileAudit(paths.audit), event):
        Guarded(LocalWriter(connection)).submit(NoteWentBack(what=what, at=clock.now()))


def _last_inspected(folder: Path) -> dict[str, Any] | None:
    """The newest event of an inspection, of whichever lane."""
    found: dict[int, dict[str, Any]] = {}
    for segment in reversed(segments(folder)):
        if segment.lane not in found and (event := last_event(segment.path, _MARK)):
            found[segment.lane] = event
    return max(found.values(), key=lambda event: int(event["micros"]), default=None)
