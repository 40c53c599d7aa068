"""What passes through once does not push out what is in use: neither a volume that is written, compared and read, nor
the blobs that come out of it, stay in the page cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from bundles import build, limits
from bundles.format.volume_frame import Piece
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.volumes.cache import is_cached
from bundles.volumes.read import ranges_of, read_volume
from bundles.volumes.stream import stream_piece
from tests.bundles.small import MemoryStore, content_of, create_private, file_artifact, manifest_of, sign

SIZE = 160 * limits.MIB
DATA = bytes(SIZE)


def stays(path: Path) -> bool:
    """Whether the middle of a file is in memory."""
    with path.open("rb") as file:
        return is_cached(file.fileno(), path.stat().st_size)


@pytest.fixture(autouse=True)
def disk(tmp_path: Path) -> None:
    """Only where a file's pages can be dropped at all is there anything to see."""
    probe = tmp_path / "probe"
    probe.write_bytes(bytes(limits.MIB))
    with probe.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if is_cached(file.fileno(), limits.MIB):
            pytest.skip("the file system has nothing behind the page cache")


def test_a_volume_does_not_stay_for_having_been_written_compared_or_read(tmp_path: Path) -> None:
    store, key = MemoryStore(), create_private()
    content = content_of(store, [file_artifact(store, DATA)])
    laid_out = build.lay_out(content, build.plan_volumes(content, 2 * SIZE, [None]), store, no_progress)
    signed = sign(manifest_of(content, laid_out, [key.public.keyid]), [key])
    (folder,) = build.write(signed, store, [tmp_path], no_progress)
    volume = folder / "volumes/0001.7z"
    assert not stays(volume)
    read_volume(volume, signed.manifest, 1, ranges_of(signed.manifest)[1], None, lambda _: None)
    assert not stays(volume)


def test_a_large_blob_does_not_stay_for_having_come_in_or_gone_out(tmp_path: Path) -> None:
    paths = StationPaths(tmp_path / "station")
    for folder in (paths.root, paths.store):
        folder.mkdir()
    store, digest = BlobStore(paths), Digest.of(DATA)
    writer = store.begin_blob(digest, SIZE)
    for start in range(0, SIZE, limits.CHUNK):
        writer.write(DATA[start : start + limits.CHUNK])
    writer.commit()
    assert not stays(paths.blob(digest))
    for _ in stream_piece(Piece(digest, 0, SIZE), store, last=True):
        pass
    assert not stays(paths.blob(digest))
