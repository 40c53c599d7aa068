"""Putting back what is damaged, from a bundle that came in before.

Importing that bundle again changes nothing of what the ledger, quarantine or clients know of it: its signatures are
verified, its volumes read as ever, and of what they carry only the damaged blobs are taken. Which these are does not
hang on a scrub: where none of the bundle's is known to be damaged, all that are held are read.
"""

from __future__ import annotations

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.custody.carriers import volumes_of
from appliance.intake.store_sink import StoreSink
from appliance.jobs.kinds import JobContext
from appliance.store.reads import garbage
from appliance.store.writes.outgoing import RecordBlobs
from bundles.format.manifest import BundleManifest
from bundles.oci.digest import Digest
from bundles.verify import OpenedBundle, missing
from bundles.volumes.read import ranges_of, read_volume


def restore(context: JobContext, bundle: OpenedBundle) -> list[str]:
    """The digests that were put back; none where nothing of the bundle is damaged.

    Raises IncompleteError naming the volumes that are needed and not here, RefusedError for bytes that are not the
    signed ones.
    """
    station, manifest = context.station, bundle.opened.manifest
    damaged = garbage.damaged(station.reader)
    damaged &= {blob.digest for blob in manifest.blobs}
    damaged = damaged or _rotten(context, manifest)
    wanted = {blob.digest: volumes_of(blob) for blob in manifest.blobs if blob.digest in damaged}
    if not wanted:
        return []
    needed = sorted({index for volumes in wanted.values() for index in volumes})
    absent = tuple(index for index in needed if index not in bundle.volumes)
    if absent:
        raise missing(bundle.opened, absent)
    detail = {"digests": sorted(wanted)[:100]}
    with recording(station.audit, AuditEvent(Act.RESTORE_DAMAGED, context.actor, manifest.id, "done", detail)):
        return _put_back(context, bundle, wanted, needed)


def _rotten(context: JobContext, manifest: BundleManifest) -> set[str]:
    """The digests of a bundle's blobs that the station should hold, and does not hold whole. Reads all of them."""
    station, done = context.station, 0
    held = [Digest.parse(blob.digest) for blob in manifest.blobs]
    held = [digest for digest in held if station.metadata.knows_blob(digest)]
    total = sum(blob.size for blob in manifest.blobs)

    def attend(count: int) -> None:
        nonlocal done
        done += count
        context.progress("check what is held", min(done, total), total)

    return {str(digest) for digest in held if not station.blobs.is_whole(digest, attend)}


def _put_back(context: JobContext, bundle: OpenedBundle, wanted: dict[str, list[int]], needed: list[int]) -> list[str]:
    """Read the damaged blobs from their volumes into the store; which they were."""
    station, manifest = context.station, bundle.opened.manifest
    ranges = ranges_of(manifest)
    sink = StoreSink(station, manifest, bundle.opened.digest, set())
    total, done = sum(manifest.volumes[index - 1].size for index in needed), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        context.progress("restore", done, total)

    for index in needed:
        mine = [entry for entry in ranges[index] if str(entry.digest) in wanted]
        read_volume(bundle.volumes[index], manifest, index, mine, sink, advance)
    every = [entry for index in needed for entry in ranges[index] if str(entry.digest) in wanted]
    rows = sink.take_rows(every)
    station.writer.submit(RecordBlobs(blobs=rows, at=clock.now()))
    for row in rows:
        station.blobs.remove_aside(Digest.parse(row.digest))
        context.log(f"{row.digest} is whole again")
    return sorted(row.digest for row in rows)
