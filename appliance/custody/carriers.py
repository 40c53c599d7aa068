"""Which bundles carry a blob, so that a person knows what to fetch from the shelf."""

from __future__ import annotations

from typing import Any

from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.station import Station
from appliance.store.reads.documents import manifest_of
from appliance.store.reads.intake import mentioning
from appliance.store.reads.outgoing import signed_bundles
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
    for bundle, sums in mentioning(station.reader, digest.hex):
        try:
            described = _described(decode(manifest_of(station.reader, sums)), digest)
        except LockgateError:  # changed by hand, which `intake check` reports: it says nothing of the blob
            continue
        if described is not None:
            found.append({"id": bundle, "digest": sums, "direction": "in"} | described)
        if len(found) == _MOST:
            return found
    for built in signed_bundles(station.reader):
        try:
            fixed = SealedBundle.load(station.paths.job(built.job))
        except (LockgateError, OSError):
            continue
        described = None if fixed is None else _described(fixed.manifest, digest)
        if described is not None:
            found.append({"id": built.id, "digest": built.digest, "direction": "out"} | described)
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
