"""Which bundles carry a blob, so that a person knows what to fetch from the shelf."""

from __future__ import annotations

from typing import Any

from appliance.outgoing.sealed_bundle import Fixed
from appliance.station import Station
from appliance.store.reads.documents import manifest_of
from bundles.errors import LockgateError
from bundles.format.manifest import Blob, BundleManifest
from bundles.format.manifest_codec import decode
from bundles.oci.digest import Digest

_MOST = 5
"""Bundles named for one blob, the newest; one is enough to restore it."""


def carriers(station: Station, digest: Digest) -> list[dict[str, Any]]:
    """The newest bundles that carry the blob, of those that came in and those that were built here:
    {id, digest, direction `in`/`out`, volumes [index], media [number]}. Grows with the bundles that are known."""
    found = []
    came = station.reader.execute(
        "SELECT i.id, i.digest FROM intake i JOIN intake_documents d ON d.digest = i.digest"
        " WHERE i.state != 'receiving' AND instr(d.manifest, ?) > 0 ORDER BY i.received DESC",
        (digest.hex,),
    ).fetchall()
    for bundle, sums in came:
        try:
            described = _described(decode(manifest_of(station.reader, sums)), digest)
        except LockgateError:  # changed by hand, which `intake check` reports: it says nothing of the blob
            continue
        if described is not None:
            found.append({"id": bundle, "digest": sums, "direction": "in"} | described)
        if len(found) == _MOST:
            return found
    built = station.reader.execute(
        "SELECT id, digest, job_id FROM bundles_out WHERE state IN ('signed', 'written') ORDER BY created DESC"
    )
    for bundle, sums, job_id in built:
        try:
            fixed = Fixed.load(station.paths.job(job_id))
        except (LockgateError, OSError):
            continue
        described = None if fixed is None else _described(fixed.manifest, digest)
        if described is not None:
            found.append({"id": bundle, "digest": sums, "direction": "out"} | described)
        if len(found) == _MOST:
            break
    return found


def _described(manifest: BundleManifest, digest: Digest) -> dict[str, Any] | None:
    blob = next((blob for blob in manifest.blobs if blob.digest == str(digest)), None)
    if blob is None:
        return None
    volumes = volumes_of(blob)
    return {"volumes": volumes, "media": sorted({manifest.volumes[index - 1].medium for index in volumes})}


def volumes_of(blob: Blob) -> list[int]:
    """The volumes a blob lies in, whole or in parts."""
    whole = [] if blob.volume is None else [blob.volume]
    return sorted({*whole, *(part.volume for part in blob.parts or [])})
