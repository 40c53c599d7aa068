"""The `recut` job: media of a bundle that was made here, cut again byte for byte onto others.

A medium that was written and compared can still rot or be lost on its way. Its bytes follow from what was signed, which
the station keeps, and from the store; nothing is signed, numbered or planned anew, and the other media stay good.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.jobs.kinds import JobContext, Result, telling
from appliance.outgoing.blob_source import StationBlobSource
from appliance.outgoing.build_params import convert
from appliance.outgoing.media import check_room, check_volume_size, look_at_all, on_disks
from appliance.outgoing.resume import locked
from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.store.reads.outgoing import built_bundle
from appliance.store.writes.outgoing import FinishBundle
from bundles import build as building
from bundles.errors import FailedError, LockgateError, NotFoundError, UsageError


class RecutParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's params: medium `media[n]` of the bundle goes to the folder `out[n]`."""

    id: str
    media: list[int]
    out: list[str]


def run(context: JobContext) -> Result:
    """Cut media again. The result: path, media (folders), id, digest, volumes, bytes, seconds.

    Raises NotFoundError, UsageError for media that the bundle has not, FailedError for what cannot be read or written.
    """
    params = convert(context.params, RecutParams)
    try:
        return _recut(context, params)
    except LockgateError as error:
        context.record_failure(Act.BUNDLE_RECUT, params.id, error)
        raise


def _recut(context: JobContext, params: RecutParams) -> Result:
    station = context.station
    built = built_bundle(station.reader, params.id)
    if built is None:
        raise NotFoundError("no such bundle was made here", thing=params.id, remedy="see: lockgate bundle list")
    if built.state not in ("signed", "written"):
        raise FailedError(f"the bundle is {built.state}", thing=params.id, remedy="build anew: the next one carries it")
    with locked(station.paths.job(built.job)) as held:
        fixed = SealedBundle.load(station.paths.job(built.job)) if held else None
        if fixed is None:
            raise FailedError("the bundle is being written", thing=params.id, remedy="wait for its build to end")
        return _write(context, fixed, _places(context, params, fixed))


def _places(context: JobContext, params: RecutParams, fixed: SealedBundle) -> dict[int, Path]:
    """The folder for each medium that is to be cut."""
    there = sorted({volume.medium for volume in fixed.manifest.volumes})
    if not params.media or len(params.media) != len(params.out):
        raise UsageError(
            "a folder for each medium, and no more", remedy="give --medium N --out DIR, as often as needed"
        )
    strange = [number for number in params.media if number not in there]
    if strange or len(set(params.media)) < len(params.media):
        named = ", ".join(map(str, strange or params.media))
        raise UsageError("no such media, or one twice", thing=named, remedy=f"{params.id} has 1 to {there[-1]}")
    return dict(zip(params.media, map(context.path, params.out), strict=True))


def _write(context: JobContext, fixed: SealedBundle, places: dict[int, Path]) -> Result:
    station, manifest = context.station, fixed.manifest
    found = look_at_all(list(places.values()), station.config.media_roots)
    media = dict(zip(places, found, strict=True))
    volumes = [volume for volume in manifest.volumes if volume.medium in places]
    size = sum(volume.size for volume in volumes)
    check_volume_size(list(media.values()), max(volume.size for volume in volumes))
    check_room(manifest, media)
    detail = {"digest": str(fixed.digest), "bytes": size, "media": {str(n): str(path) for n, path in places.items()}}
    source = StationBlobSource(station.blobs, station.metadata)
    started = time.monotonic()
    with recording(station.audit, AuditEvent(Act.BUNDLE_RECUT, context.actor, manifest.id, "done", detail)):
        folders = building.write_media(
            fixed.bundle, source, places, context.progress, context.log, telling(context, places)
        )
        part = set(places) != {volume.medium for volume in manifest.volumes}  # all of them finish one that was signed
        places_of = tuple(map(str, folders))
        station.writer.submit(FinishBundle(id=manifest.id, at=clock.now(), places=places_of, part=part))
    return {
        "path": str(folders[0]),
        "media": [str(folder) for folder in folders],
        "id": manifest.id,
        "digest": str(fixed.digest),
        "volumes": len(volumes),
        "bytes": size,
        "seconds": round(time.monotonic() - started, 3),
        "signed_by": fixed.signed_by,
        "missing_signers": [keyid for keyid in manifest.signers if keyid not in fixed.signed_by],
        "on_disk": on_disks(found),
    }
