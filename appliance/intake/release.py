"""Release: everything that must hold at the moment quarantined content becomes visible, checked anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance import clock
from appliance.intake import approvals
from appliance.intake.content import Checked, check_content, check_held, released, sizes_of
from appliance.intake.ledger import Entry, decisions_of, read_manifest
from appliance.station import Station
from appliance.store.writes.intake import Release
from bundles.errors import FailedError, RefusedError


@dataclass(frozen=True, slots=True)
class Prepared:
    """A release that may happen: its transaction, and the references it shows."""

    write: Release
    references: list[str]


def prepare(station: Station, entry: Entry, actor: str) -> Prepared:
    """The transaction that releases an approved bundle.

    Every approval's signature is verified again against the trust folder as it is now, and every blob must be in the
    store at its size; the transaction itself then checks the state, the report and the approvals once more.
    Raises FailedError where the bundle is not approved or the store lacks a blob, RefusedError where too few approvals
    count.
    """
    if entry.state != "approved" or entry.report_digest is None:
        raise FailedError(
            f"the bundle is {entry.state}, not approved",
            thing=entry.id,
            remedy=f"see: lockgate intake show {entry.id}",
        )
    needed = station.config.threshold
    counting = approvals.still_counting(station, entry, decisions_of(station.reader, entry.digest))
    if counting.people < needed:
        reason = counting.objections[0] if counting.objections else f"{counting.people} of {needed} count"
        raise RefusedError(
            "too few approvals count now", thing=f"{entry.id}: {reason}", remedy="have it approved again"
        )
    manifest = read_manifest(station.reader, entry.digest)
    check_held(station.blobs, station.metadata, sizes_of(manifest))
    checked = check_content(station.blobs, manifest)
    write = Release(
        digest=entry.digest,
        report_digest=entry.report_digest,
        approved_by=counting.keyids,
        needed=needed,
        artifacts=tuple(released(artifact, station.metadata) for artifact in checked),
        actor=actor,
        at=clock.now(),
    )
    return Prepared(write, references(checked))


def references(checked: Sequence[Checked]) -> list[str]:
    """What a release shows, by the names people use: each tag, and the digest of what has no tag and stands alone."""
    children = {
        (entry.artifact.repository, str(child.digest)) for entry in checked for child in entry.manifest.manifests
    }
    found = []
    for entry in checked:
        artifact = entry.artifact
        found += [f"{artifact.repository}:{tag}" for tag in artifact.tags]
        beneath = entry.manifest.subject is not None or (artifact.repository, artifact.digest) in children
        if not artifact.tags and not beneath:
            found.append(entry.name)
    return found
