"""What a worker keeps in memory stays below its bound, also where each piece is tiny."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

from appliance.paths import StationPaths
from appliance.registry.manifest_cache import Known, ManifestCache
from appliance.registry.small_blobs import SmallBlobs
from appliance.registry.verified_files import VerifiedFiles
from appliance.store.blobs import BlobStore
from appliance.store.epoch import SharedEpoch
from bundles.limits import MIB
from bundles.oci.digest import Digest

_CEILING = 2 * MIB
_TINY = 48


def _held(add: Callable[[Digest, bytes, int], object]) -> int:
    """Bytes of memory behind three ceilings' worth of bodies of 48 bytes."""
    tracemalloc.start()
    try:
        for number in range(3 * _CEILING // (_TINY + 300)):
            body = number.to_bytes(_TINY, "big")
            add(Digest.of(body), body, number)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_small_blobs(tmp_path: Path) -> None:
    kept = SmallBlobs(VerifiedFiles(3600.0), _CEILING)

    def add(digest: Digest, body: bytes, number: int) -> None:
        kept.add(
            digest,
            f"{tmp_path}/store/blobs/sha256/{digest.hex}",
            (2049, 10**7 + number, _TINY, 10**18 + number, 10**18),
            body,
        )

    assert _held(add) < 1.3 * _CEILING


def test_manifests(tmp_path: Path) -> None:
    paths = StationPaths(tmp_path)
    kept = ManifestCache(BlobStore(paths), _CEILING, SharedEpoch(tmp_path / "metadata.sqlite"))
    assert _held(lambda digest, body, number: kept.add(digest, Known(body, ""))) < 1.3 * _CEILING
