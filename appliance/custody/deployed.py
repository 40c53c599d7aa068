"""What clusters were let run, held against what the station says of it now: blocked, not shown any more, not known,
retired, or drifted from every tag."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from appliance import clock
from appliance.api.recall import DeployedWorkload, DeployedWorkloads
from appliance.limits import admission as limits
from appliance.station import Station
from appliance.store.reads.blocks import why_blocked
from appliance.store.reads.links import manifests_of, tags_of
from appliance.store.reads.retirements import retired
from appliance.store.reads.workloads import every_workload
from bundles import limits as bundle_limits
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest

CURRENT: Final = "current"


def deployed(station: Station, *, every: bool = False) -> DeployedWorkloads:
    """The workloads that are hit, the last that was admitted first; with `every` the others too. Blocking: some
    milliseconds a digest. Raises FailedError."""
    blocked, standing = why_blocked(station.reader), dict[tuple[str, str], tuple[str, str]]()
    tagged, items, count, left = dict[str, Collection[str]](), list[DeployedWorkload](), 0, 0
    for one in every_workload(station.reader):
        count += 1
        image = one.repository, one.digest
        if image not in standing:
            if one.repository not in tagged:
                tagged[one.repository] = _tagged(station, one.repository)
            standing[image] = _standing(station, blocked, tagged[one.repository], *image)
        state, why = standing[image]
        if state == CURRENT and not every:
            continue
        if len(items) == limits.WORKLOADS_NAMED:
            left += 1
            continue
        items.append(
            DeployedWorkload(
                cluster=one.cluster, namespace=one.namespace, workload=one.workload,
                reference=f"{one.repository}@{one.digest}", at=one.at, state=state, why=why,
            )
        )  # fmt: skip
    return DeployedWorkloads(items=tuple(items), left_out=left, remembered=count)


def _standing(
    station: Station, blocked: dict[str, str], tagged: Collection[str], repository: str, digest: str
) -> tuple[str, str]:
    """What the station says of an image now, and why."""
    parts, whole = _reached(station, digest) if blocked else ({digest}, True)  # without a block nothing need be read
    for part in sorted(parts & blocked.keys(), key=lambda one: (one != digest, one)):
        return "blocked", blocked[part] if part == digest else f"a part of it ({part}): {blocked[part]}"
    if station.metadata.linked_manifest(repository, Digest.parse(digest)) is None:
        return "gone", "the repository does not show it any more"
    if not whole:
        return "unknown", "a part of it cannot be read, and may be blocked; see: lockgate scrub"
    over = [one for one in retired(station.reader, [repository], [digest]) if one.is_over(clock.now())]
    if over:
        return "retired", f"since {over[0].after}; its successor is {over[0].successor}"
    if digest not in tagged:
        return "drifted", "no tag of the repository leads to it any more"
    return CURRENT, ""


def _tagged(station: Station, repository: str) -> Collection[str]:
    """The manifests to which a tag of a repository leads: itself, and what an index beneath it names."""
    shown, found = manifests_of(station.reader, repository), set[str]()
    for digest in set(tags_of(station.reader, repository).values()):
        if digest not in found:
            found.update(one for one in _reached(station, digest)[0] if one in shown or one == digest)
    return found


def _reached(station: Station, digest: str) -> tuple[set[str], bool]:
    """A manifest and what it is made of, however deep, and whether that is all: a manifest may not be readable."""
    seen, todo, whole = {digest}, [digest], True
    while todo:
        manifest = _manifest(station, todo.pop())
        if manifest is None or len(seen) > limits.ADMISSION_REACHED:
            whole = False
            continue
        todo += [
            str(one.digest)
            for one in manifest.manifests
            if one.media_type in MANIFEST_TYPES and str(one.digest) not in seen
        ]
        seen.update(str(part.digest) for part in (*manifest.blobs, *manifest.foreign, *manifest.manifests))
    return seen, whole


def _manifest(station: Station, digest: str) -> Manifest | None:
    try:
        with station.blobs.open_blob(Digest.parse(digest)) as file:
            return parse_manifest(file.read(bundle_limits.OCI_MANIFEST + 1))
    except (LockgateError, OSError):
        return None
