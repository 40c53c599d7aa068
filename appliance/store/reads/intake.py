"""Reading the ledger and the intake's entries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.api.intake import EntrySummary
from appliance.store.ports import Reader
from appliance.store.reads.documents import MANIFEST_JSON, has_manifest, manifest_of, report_of
from bundles.decide.bundle import SmallFiles
from bundles.decide.sequence import LedgerRow
from bundles.errors import NotFoundError, UsageError
from bundles.format.manifest import BundleManifest
from bundles.format.manifest_codec import decode
from bundles.people import count

_COLUMNS: Final = "digest, id, stream, sequence, state, artifacts, bytes, report_digest, job, actor, received, decided"


@dataclass(frozen=True, slots=True)
class Entry:
    """A bundle in the intake, without its documents. `bytes` are of its volumes; times are UTC text."""

    digest: str
    id: str
    stream: str
    sequence: int
    state: str
    artifacts: int
    bytes: int
    report_digest: str | None
    job: str
    actor: str
    received: str
    decided: str | None


@dataclass(frozen=True, slots=True)
class CarriedVolume:
    """A volume of an entry, and whether its blobs are verified and in the store."""

    index: int
    medium: int
    size: int
    verified: bool


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """An approval or rejection as it was signed."""

    keyid: str
    owner: str
    document: str
    signature: bytes
    created: str


def history(reader: Reader, stream: str) -> list[LedgerRow]:
    """What the ledger knows of a stream: each sequence's latest row, in order."""
    rows = reader.execute(
        "SELECT sequence, digest, state FROM ledger WHERE stream = ?1 AND entry IN"
        " (SELECT max(entry) FROM ledger WHERE stream = ?1 GROUP BY sequence) ORDER BY sequence",
        (stream,),
    )
    return [LedgerRow(*row) for row in rows]


def find_by_digest(reader: Reader, digest: str) -> Entry | None:
    """The entry of a bundle's digest."""
    row = reader.execute(
        f"SELECT {_COLUMNS} FROM intake WHERE digest = ?",  # noqa: S608  constant
        (digest,),
    ).fetchone()
    return None if row is None else Entry(*row)


def find_entry(reader: Reader, name: str) -> Entry:
    """The entry of an id or digest. Raises NotFoundError, UsageError where an id has several.

    Where two bundles were made under one number, the id is the one's that the ledger took.
    """
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM intake WHERE digest = ? OR id = ? LIMIT 10",  # noqa: S608
        (name, name),
    ).fetchall()
    found = [Entry(*row) for row in rows]
    if not found:
        raise NotFoundError("no such bundle in the intake", thing=name, remedy="see: lockgate intake list")
    taken = [entry for entry in found if entry.state != "receiving"] or found
    if len(taken) > 1:
        raise UsageError("several bundles have this id", thing=name, remedy="name it by its digest")
    return taken[0]


def list_entries(reader: Reader, limit: int, after: str = "", state: str = "") -> list[Entry]:
    """Entries by id and digest, behind the entry whose `cursor` is `after`."""
    last_id, _, last_digest = after.partition(" ")
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM intake WHERE (id, digest) > (?, ?) AND (? = '' OR state = ?)"  # noqa: S608
        " ORDER BY id, digest LIMIT ?",
        (last_id, last_digest, state, state, limit),
    )
    return [Entry(*row) for row in rows]


def cursor(entry: Entry) -> str:
    """Where a list of entries goes on."""
    return f"{entry.id} {entry.digest}"


def manifest_bytes(reader: Reader, digest: str) -> bytes:
    """A bundle's manifest, canonical JSON. Raises FailedError where it is missing or cannot be read."""
    return manifest_of(reader, digest)


def read_manifest(reader: Reader, digest: str) -> BundleManifest:
    """A bundle's manifest, decoded again. Raises as `manifest_bytes` and `bundles.format.manifest_codec.decode`."""
    return decode(manifest_of(reader, digest))


def report_text(reader: Reader, digest: str) -> str | None:
    """A bundle's inspection report, canonical JSON, or None before there is one. Raises FailedError where it cannot be
    read."""
    return report_of(reader, digest)


def inspected_by(reader: Reader, digest: str) -> list[str]:
    """The inspectors that have a section in a bundle's report and looked."""
    rows = reader.execute(
        "SELECT json_extract(s.value, '$.inspector') FROM intake_documents d, json_each(CASE WHEN json_valid(d.report)"
        " THEN d.report ELSE '{}' END, '$.sections') s WHERE d.digest = ?"
        " AND json_type(s.value, '$.details.unlooked') IS NULL",
        (digest,),
    )
    return [str(name) for (name,) in rows]


def unlooked_by(reader: Reader, digest: str) -> list[str]:
    """The required inspectors that failed on a bundle's content, by its report (appliance.intake.inspectors)."""
    rows = reader.execute(
        "SELECT json_extract(s.value, '$.inspector') FROM intake_documents d, json_each(CASE WHEN json_valid(d.report)"
        " THEN d.report ELSE '{}' END, '$.sections') s WHERE d.digest = ?"
        " AND json_type(s.value, '$.details.unlooked') IS NOT NULL"
        " AND CAST(json_extract(s.value, '$.details.required') AS BIGINT) = 1",
        (digest,),
    )
    return [str(name) for (name,) in rows]


def has_undecided(reader: Reader, stream: str, digest: str) -> bool:
    """Whether another bundle of the stream has come, or is coming in, that nobody has decided about."""
    row = reader.execute(
        "SELECT 1 FROM intake WHERE stream = ? AND digest <> ? AND state IN ('receiving', 'quarantined', 'approved')"
        " LIMIT 1",
        (stream, digest),
    ).fetchone()
    return row is not None


def undecided_bytes(reader: Reader, besides: str = "") -> dict[str, int]:
    """Source -> bytes of its bundles that have come or are coming in, and that nobody has decided about; the whole of
    each, as signed, but for the one of the digest `besides`."""
    rows = reader.execute(
        "SELECT i.stream, sum(v.size) FROM intake i JOIN intake_volumes v ON v.digest = i.digest"
        " WHERE i.state IN ('receiving', 'quarantined', 'approved') AND i.digest <> ? GROUP BY i.stream",
        (besides,),
    )
    found: dict[str, int] = {}
    for stream, size in rows:
        source = stream.partition(".")[0]
        found[source] = found.get(source, 0) + int(size)
    return found


def previous_of(reader: Reader, stream: str, sequence: int) -> Entry | None:
    """The last bundle of the stream before `sequence` that the ledger took and nobody rejected."""
    row = reader.execute(
        f"SELECT {_COLUMNS} FROM intake WHERE stream = ? AND sequence < ?"  # noqa: S608
        " AND state IN ('quarantined', 'approved', 'released') ORDER BY sequence DESC LIMIT 1",
        (stream, sequence),
    ).fetchone()
    return None if row is None else Entry(*row)


def decisions_of(reader: Reader, digest: str) -> list[StoredDecision]:
    """The approvals (or the one rejection) of a bundle, oldest first."""
    rows = reader.execute(
        "SELECT keyid, owner, document, signature, created FROM approvals WHERE digest = ? ORDER BY created, keyid",
        (digest,),
    )
    return [StoredDecision(*row) for row in rows]


def importer_of(reader: Reader, entry: Entry) -> str:
    """The account that brought a bundle into quarantine."""
    row = reader.execute(
        "SELECT actor FROM transitions WHERE digest = ? AND state = 'quarantined' ORDER BY entry DESC LIMIT 1",
        (entry.digest,),
    ).fetchone()
    return entry.actor if row is None else str(row[0])


def steps_of(reader: Reader, digest: str) -> list[dict[str, str]]:
    """Every step a bundle took, in order: state, at, actor, note."""
    rows = reader.execute("SELECT state, at, actor, note FROM transitions WHERE digest = ? ORDER BY entry", (digest,))
    return [{"state": state, "at": at, "actor": actor, "note": note} for state, at, actor, note in rows]


def signed_files(reader: Reader, digest: str) -> SmallFiles | None:
    """A bundle's small files as they came in, or None where the database lacks them. Raises FailedError where the
    manifest cannot be read."""
    row = reader.execute("SELECT sums, readme FROM intake_sums WHERE digest = ?", (digest,)).fetchone()
    if row is None or not has_manifest(reader, digest):
        return None
    signatures = dict(reader.execute("SELECT name, signature FROM intake_signatures WHERE digest = ?", (digest,)))
    return SmallFiles(row[0], manifest_of(reader, digest), row[1], signatures)


def volumes_of(reader: Reader, digest: str) -> list[CarriedVolume]:
    """Every volume of a bundle, by index."""
    rows = reader.execute(
        "SELECT volume, medium, size, verified IS NOT NULL FROM intake_volumes WHERE digest = ? ORDER BY volume",
        (digest,),
    )
    return [CarriedVolume(index, medium, size, bool(verified)) for index, medium, size, verified in rows]


def verified_volumes(reader: Reader, digest: str) -> set[int]:
    """The volumes of a bundle whose blobs are in the store."""
    return {volume.index for volume in volumes_of(reader, digest) if volume.verified}


def missing_volumes(reader: Reader, digest: str) -> list[int]:
    """The volumes of a bundle that did not come (yet)."""
    return [volume.index for volume in volumes_of(reader, digest) if not volume.verified]


def describe(reader: Reader, entry: Entry, needed: int) -> EntrySummary:
    """An entry as the control API lists it.

    `approvals` counts people, not keys.
    """
    approvals = 0
    if entry.state != "rejected":
        approvals = count(decision.owner for decision in decisions_of(reader, entry.digest))
    return EntrySummary(
        digest=entry.digest,
        id=entry.id,
        stream=entry.stream,
        sequence=entry.sequence,
        state=entry.state,
        received=entry.received,
        decided=entry.decided,
        actor=entry.actor,
        artifacts=entry.artifacts,
        bytes=entry.bytes,
        approvals=approvals,
        needed=needed,
        missing_volumes=tuple(missing_volumes(reader, entry.digest)),
    )


@dataclass(frozen=True, slots=True)
class Concerned:
    """A bundle that came in and has to do with a key or a digest; `how` says in which way."""

    id: str
    digest: str
    state: str
    how: str


_DOCUMENTED: Final = "FROM intake i JOIN intake_documents d ON d.digest = i.digest"
_CONCERNED: Final = (
    ("signed it", "SELECT i.id, i.digest, i.state FROM intake_signatures s JOIN intake i ON i.digest = s.digest"
     " WHERE substr(s.name, 1, length(?1) + 12) = 'SHA256SUMS.' || ?1 || '.'"),
    ("decided about it", "SELECT i.id, i.digest, i.state FROM decisions d JOIN intake i ON i.digest = d.digest"
     " WHERE d.keyid = ?"),
    ("artifact", f"SELECT i.id, i.digest, i.state {_DOCUMENTED} WHERE EXISTS (SELECT 1 FROM"  # noqa: S608  constants
     f" json_each({MANIFEST_JSON}, '$.artifacts') a WHERE json_extract(a.value, '$.digest') = ?)"),
    ("blob", f"SELECT i.id, i.digest, i.state {_DOCUMENTED} WHERE EXISTS (SELECT 1 FROM"  # noqa: S608  constants
     f" json_each({MANIFEST_JSON}, '$.blobs') b WHERE json_extract(b.value, '$.digest') = ?1)"
     f" OR EXISTS (SELECT 1 FROM json_each({MANIFEST_JSON}, '$.requires') q"
     " WHERE json_extract(q.value, '$.digest') = ?1)"),
)  # fmt: skip


def concerned(reader: Reader, thing: str) -> list[Concerned]:
    """The bundles that a key signed or decided about, or that hold a digest as an artifact or a blob, by id; each once,
    with the first way that applies."""
    found: dict[str, Concerned] = {}
    for how, query in _CONCERNED:
        for name, digest, state in reader.execute(query, (thing,)):
            found.setdefault(digest, Concerned(name, digest, state, how))
    return sorted(found.values(), key=lambda bundle: bundle.id)


def mentioning(reader: Reader, hex_digits: str) -> list[tuple[str, str]]:
    """(id, digest) of the bundles that came in whose manifest holds these hex digits, the newest first."""
    return reader.execute(
        "SELECT i.id, i.digest FROM intake i JOIN intake_documents d ON d.digest = i.digest"
        " WHERE i.state != 'receiving' AND instr(d.manifest, ?) > 0 ORDER BY i.received DESC",
        (hex_digits,),
    ).fetchall()


def list_in_states(reader: Reader, states: Sequence[str], limit: int, after: str = "", text: str = "") -> list[Entry]:
    """Entries in some states by id and digest, behind the entry whose `cursor` is `after`; `text` is part of the id."""
    last_id, _, last_digest = after.partition(" ")
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM intake WHERE (id, digest) > (?, ?) AND instr(id, ?) > 0"  # noqa: S608
        " AND state IN (SELECT value FROM json_each(?)) ORDER BY id, digest LIMIT ?",
        (last_id, last_digest, text, json.dumps(list(states)), limit),
    )
    return [Entry(*row) for row in rows]


def count_in_quarantine(reader: Reader) -> int:
    """How many entries are inspected and neither released nor rejected."""
    row = reader.execute("SELECT count(*) FROM intake WHERE state IN ('quarantined', 'approved')").fetchone()
    return int(row[0])


def last_received(reader: Reader) -> tuple[str, str] | None:
    """The id of the bundle that came in last, and when (UTC text); None before the first."""
    found: tuple[str, str] | None = reader.execute(
        "SELECT id, received FROM intake ORDER BY received DESC LIMIT 1"
    ).fetchone()
    return found


def is_in_intake(reader: Reader, digest: str) -> bool:
    """Whether the intake has an entry of a bundle. Point read."""
    return reader.execute("SELECT 1 FROM intake WHERE digest = ?", (digest,)).fetchone() is not None


def layer_findings(reader: Reader, digest: str, look: int) -> tuple[str, str] | None:
    """The findings of a blob as JSON with their authentication code, as a version of the looking kept them. Whoever
    reads them checks the code: the database is no proof."""
    found: tuple[str, str] | None = reader.execute(
        "SELECT found, mac FROM layers_inspected WHERE digest = ? AND media_type = '' AND look = ?", (digest, look)
    ).fetchone()
    return found
