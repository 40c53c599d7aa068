"""The demo's intake: bundles of alpha at every stage, and what approvals do to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from appliance.api.bundles import OutgoingBundle
from appliance.api.intake import CarriedVolume, IntakeDecision, IntakeDetail, IntakeEntry, LedgerRow, Stream
from appliance.api.states import PENDING_STATES
from bundles.errors import RefusedError
from tests.console.doubles import data, reports

STREAM: Final = "alpha.bravo"
_OWNERS: Final = {
    data.KEYIDS["officer"]: "M. Okafor, security officer",
    data.KEYIDS["deputy"]: "T. Lindqvist, deputy officer",
}
_CARRIED: Final = (
    ("base/debian", ("12.8", "bookworm"), "index"),
    ("platform/postgres", ("16.6",), "index"),
    ("team/payments-api", ("2.29.13",), "image"),
    ("team/web-portal", ("7.1.1", "latest"), "image"),
    ("charts/payments", ("0.15.1",), "chart"),
)


def _artifacts(sequence: int) -> list[dict[str, Any]]:
    return [
        {"repository": name, "tags": list(tags), "digest": data.digest(f"{name}:{tags[0]}"), "kind": kind}
        for name, tags, kind in _CARRIED[: 2 + sequence % 4]
    ]


def bundle_id(sequence: int, stream: str = STREAM) -> str:
    return f"{stream}-{sequence:06d}"


def make(
    sequence: int,
    state: str,
    received: str,
    approvals: Sequence[str] = (),
    sizes: int = 3,
    artifacts: list[dict[str, Any]] | None = None,
    stream: str = STREAM,
) -> IntakeDetail:
    """An entry with `sizes` volumes; of a `receiving` one the last volumes are still to come."""
    artifacts = artifacts if artifacts is not None else _artifacts(sequence)
    name = bundle_id(sequence, stream)
    arrived = sizes if state != "receiving" else max(sizes - 2, 1)
    volumes = tuple(
        CarriedVolume(
            index=index,
            medium=1 + (index > (sizes + 1) // 2),
            size=400 * data.MB if index < sizes else 171 * data.MB,
            verified=index <= arrived,
        )
        for index in range(1, sizes + 1)
    )
    report, report_digest = reports.make(name, artifacts) if state != "receiving" else (None, None)
    return IntakeDetail(
        digest=data.digest(name),
        id=name,
        stream=stream,
        sequence=sequence,
        state=state,
        received=received,
        artifacts=len(artifacts),
        bytes=sum(volume.size for volume in volumes),
        needed=2,
        missing_volumes=tuple(volume.index for volume in volumes if not volume.verified),
        manifest={
            "id": name,
            "stream": stream,
            "sequence": sequence,
            "created": data.day(56 + min(sequence // 2, 3), "07:45:00"),
            "purpose": "monthly update" if sequence % 2 else "security fixes",
            "authorisation": f"CR-2026-{400 + sequence}",
            "classification": "INTERNAL",
            "artifacts": artifacts,
        },
        report=report,
        report_digest=report_digest,
        approvals=len(approvals),
        decisions=tuple(
            IntakeDecision(keyid=data.KEYIDS[name], owner=_OWNERS[data.KEYIDS[name]], created=received)
            for name in approvals
        ),
        volumes=volumes,
    )


def entries() -> list[IntakeDetail]:
    """The intake at the demo's start, newest first."""
    return [
        make(7, "quarantined", "2026-05-04T13:41:07Z", sizes=24),
        make(2, "receiving", "2026-05-04T09:12:44Z", sizes=6, stream="foxtrot.bravo"),
        make(6, "approved", "2026-05-03T15:20:03Z", ("officer", "deputy")),
        make(1, "released", "2026-05-02T11:04:50Z", ("officer", "deputy"), stream="foxtrot.bravo"),
        make(5, "released", "2026-05-01T09:33:27Z", ("officer", "deputy")),
        make(4, "rejected", "2026-04-27T10:02:31Z"),
        make(3, "released", "2026-04-20T08:55:19Z", ("officer", "deputy")),
        make(2, "released", "2026-04-06T08:31:52Z", ("officer", "deputy")),
        make(1, "released", "2026-03-23T09:04:10Z", ("officer", "deputy")),
        make(3, "released", "2026-03-16T10:21:00Z", ("officer", "deputy"), stream="echo.bravo"),
        make(1, "released", "2026-03-02T09:40:12Z", ("officer", "deputy"), stream="echo.bravo"),
    ]


def summary(entry: IntakeDetail) -> IntakeEntry:
    return IntakeEntry(
        digest=entry.digest,
        id=entry.id,
        stream=entry.stream,
        sequence=entry.sequence,
        state=entry.state,
        received=entry.received,
        artifacts=entry.artifacts,
        bytes=entry.bytes,
        approvals=entry.approvals,
        needed=entry.needed,
        missing_volumes=entry.missing_volumes,
    )


def decide(entry: IntakeDetail, document: Mapping[str, Any], keyid: str, now: str) -> IntakeDetail:
    """The entry after a signed decision. Raises RefusedError as the station would."""
    owner = _OWNERS.get(keyid)
    if owner is None:
        raise RefusedError("this key may not approve", thing=keyid, remedy="use a key trusted for release")
    if entry.state not in PENDING_STATES:
        raise RefusedError(
            f"the bundle is {entry.state}", thing=entry.id, remedy="only quarantined bundles are decided"
        )
    if document["decision"] == "reject":
        decided = IntakeDecision(keyid=keyid, owner=owner, created=now, decision="reject", why=document["why"])
        return msgspec.structs.replace(entry, state="rejected", approvals=0, decisions=(decided,))
    if keyid in {approval.keyid for approval in entry.decisions}:
        raise RefusedError("this key has approved already", thing=owner, remedy="have another person approve it")
    decisions = (*entry.decisions, IntakeDecision(keyid=keyid, owner=owner, created=now))
    state = "approved" if len(decisions) >= entry.needed else "quarantined"
    return msgspec.structs.replace(entry, approvals=len(decisions), decisions=decisions, state=state)


def references(entry: IntakeDetail) -> tuple[str, ...]:
    """The references a release makes visible."""
    return tuple(f"{one['repository']}:{tag}" for one in entry.manifest["artifacts"] for tag in one["tags"])


def ledger(all_entries: Sequence[IntakeDetail]) -> list[LedgerRow]:
    """Append-only, oldest first: a row when a bundle came into quarantine, another when it was decided."""
    rows: list[LedgerRow] = []
    for entry in reversed(all_entries):
        if entry.state == "receiving":
            continue
        for state in dict.fromkeys(("quarantined", entry.state)):
            rows.append(
                LedgerRow(
                    entry=len(rows) + 1,
                    stream=entry.stream,
                    sequence=entry.sequence,
                    digest=entry.digest,
                    id=entry.id,
                    state=state,
                    created=entry.received,
                    actor="importer(1001)" if state == "quarantined" else "officer(1002)",
                )
            )
    return rows


def streams(all_entries: Sequence[IntakeDetail], outgoing: Sequence[OutgoingBundle]) -> tuple[Stream, ...]:
    rows = ledger(all_entries)
    found = []
    for name in sorted({row.stream for row in rows}):
        came = [row for row in rows if row.stream == name]
        found.append(
            Stream(
                stream=name,
                direction="in",
                last_sequence=came[-1].sequence,
                last_digest=came[-1].digest or "",
                last_at=came[-1].created,
                bundles=len({row.id for row in came}),
            )
        )
    for name in sorted({bundle.stream for bundle in outgoing}):
        sent = [bundle for bundle in outgoing if bundle.stream == name]
        found.append(
            Stream(
                stream=name,
                direction="out",
                last_sequence=sent[0].sequence,
                last_digest=sent[0].digest or "",
                last_at=sent[0].created,
                bundles=len(sent),
            )
        )
    return tuple(found)
