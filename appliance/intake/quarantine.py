"""The `import` job: a bundle from its media into quarantine, verified as it is read.

Until the last transaction nothing but an entry in state `receiving` tells of it, and that only once its signatures
held; a refused bundle changes no link, no tag, no ledger row and no quarantine entry. A bundle that was cut off goes on
at the volume, whatever the order in which its volumes come.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance import clock
from appliance.control.kinds import JobContext, Result
from appliance.intake.content import check_content, check_requires
from appliance.intake.inspectors import inspect
from appliance.intake.ledger import find_entry, history, verified_volumes
from appliance.intake.sink import StoreSink
from appliance.observe.audit import AuditEvent, refusal
from appliance.station import Station
from appliance.store.writes.intake import BeginIntake, Quarantine, RecordVolume
from bundles import documents, limits
from bundles.errors import FailedError, LockgateError, NotFoundError
from bundles.ledger import ledger_verdict
from bundles.manifest import BundleManifest, volume_path
from bundles.oci.digest import Digest
from bundles.verdict import require_all_signers
from bundles.verify import OpenedBundle, missing, open_bundle
from bundles.volumes.read import ranges_of, read_volume

_RESERVE = 64 * limits.MIB
"""Bytes left free beside what the bundle needs, for metadata and logs."""


def run(context: JobContext) -> Result:
    """Import the bundle in `params["paths"]` (a folder a medium)."""
    paths = [Path(path) for path in context.params["paths"]]
    try:
        return _import(context, paths)
    except LockgateError as error:
        thing = ", ".join(map(str, paths))
        context.station.audit.record(refusal("import", context.actor, thing, error))
        raise


def _import(context: JobContext, paths: list[Path]) -> Result:
    station = context.station
    bundle = open_bundle(paths, station.trust(), clock.now())
    require_all_signers(bundle.opened)
    manifest, digest = bundle.opened.manifest, bundle.opened.digest
    ledger_verdict(history(station.reader, manifest.stream), manifest, str(digest))
    verified = _still_held(station, manifest, digest)
    _check_space(station, bundle, verified)
    station.writer.submit(
        BeginIntake(
            digest=str(digest), id=manifest.id, stream=manifest.stream, sequence=manifest.sequence,
            manifest=bundle.opened.manifest_bytes.decode(), actor=context.actor, at=clock.now(),
        )
    )  # fmt: skip
    context.log(f"{manifest.id}: signed by {', '.join(signer.owner for signer in bundle.opened.signers)}")
    _read_volumes(context, bundle, verified)
    absent = tuple(volume.index for volume in manifest.volumes if volume.index not in verified)
    if absent:
        raise missing(bundle.opened, absent)
    check_requires(station, manifest, context.progress)
    checked = check_content(station, manifest)
    report = inspect(station, bundle.opened, checked)
    raw = documents.encode(report)
    station.writer.submit(
        Quarantine(
            digest=str(digest),
            report=raw.decode(),
            report_digest=str(Digest.of(raw)),
            actor=context.actor,
            at=clock.now(),
        )
    )
    size = sum(volume.size for volume in manifest.volumes)
    detail = {
        "digest": str(digest),
        "report": str(Digest.of(raw)),
        "bytes": size,
        "folders": [str(f) for f in bundle.folders],
    }
    station.audit.record(AuditEvent("import", context.actor, manifest.id, "done", detail))
    return {
        "id": manifest.id,
        "digest": str(digest),
        "state": "quarantined",
        "artifacts": len(manifest.artifacts),
        "bytes": size,
    }


def _still_held(station: Station, manifest: BundleManifest, digest: Digest) -> set[int]:
    """Volumes that an earlier run verified and whose bytes the store still has; the others are read again."""
    try:
        find_entry(station.reader, str(digest))
    except NotFoundError:
        return set()
    ranges = ranges_of(manifest)
    sink = StoreSink(station, manifest, digest, set())
    return {
        index
        for index in verified_volumes(station.reader, str(digest))
        if all(
            station.blobs.has_blob(entry.digest) or (entry.part is not None and sink.join_path(entry.digest).exists())
            for entry in ranges.get(index, [])
        )
    }


def _check_space(station: Station, bundle: OpenedBundle, verified: set[int]) -> None:
    """Refuse early what cannot fit. Raises FailedError with the numbers."""
    ranges = ranges_of(bundle.opened.manifest)
    coming = [entry for index in bundle.volumes if index not in verified for entry in ranges[index]]
    needed = sum(entry.length for entry in coming if not station.blobs.has_blob(entry.digest)) + _RESERVE
    free = shutil.disk_usage(station.paths.store).free
    if needed > free:
        raise FailedError(
            "the store is too small for the bundle",
            thing=f"{needed} bytes are needed, {free} are free",
            remedy="free some space, then run it again",
        )


def _read_volumes(context: JobContext, bundle: OpenedBundle, verified: set[int]) -> None:
    """Read what is here and not yet verified; `verified` grows with each volume that is recorded."""
    station, manifest = context.station, bundle.opened.manifest
    ranges = ranges_of(manifest)
    sink = StoreSink(station, manifest, bundle.opened.digest, verified)
    todo = [index for index in sorted(bundle.volumes) if index not in verified]
    total, done = sum(manifest.volumes[index - 1].size for index in todo), 0
    context.progress("verify and store", 0, total)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        context.progress("verify and store", done, total)

    for index in todo:
        read_volume(bundle.volumes[index], manifest, index, ranges[index], sink, advance)
        rows = sink.take_rows(ranges[index])
        station.writer.submit(RecordVolume(digest=str(bundle.opened.digest), volume=index, blobs=rows, at=clock.now()))
        verified.add(index)
        context.log(f"{volume_path(index)}: every byte is the signed one")
