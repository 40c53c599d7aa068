"""A blob is whole or it is not there."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from bundles.errors import FailedError, NotFoundError, RefusedError
from bundles.oci.digest import Digest

LARGE = os.urandom(700_000)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("body", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_what_was_committed_reads_back_with_its_crc32(blobs: BlobStore, algorithm: str, body: bytes) -> None:
    digest = Digest.of(body, algorithm)
    writer = blobs.begin_blob(digest, len(body))
    for start in range(0, len(body), 300_000):
        writer.write(memoryview(body)[start : start + 300_000])
    writer.commit()
    with blobs.open_blob(digest) as stream:
        assert stream.read() == body
    assert writer.crc32 == zlib.crc32(body)
    assert blobs.size(digest) == len(body)


def test_a_blob_is_not_there_before_its_commit(blobs: BlobStore) -> None:
    writer = blobs.begin_blob(Digest.of(b"abc"), 3)
    writer.write(b"abc")
    assert not blobs.has_blob(Digest.of(b"abc"))
    writer.commit()
    assert blobs.has_blob(Digest.of(b"abc"))


@pytest.mark.parametrize("body", [b"abd", b"ab", b""])
def test_other_bytes_than_the_digests_are_refused_and_leave_nothing(
    blobs: BlobStore, paths: StationPaths, body: bytes
) -> None:
    writer = blobs.begin_blob(Digest.of(b"abc"), 3)
    writer.write(body)
    with pytest.raises(RefusedError, match="not its digest's"):
        writer.commit()
    assert not blobs.has_blob(Digest.of(b"abc"))
    assert list(paths.uploads.iterdir()) == []


def test_more_bytes_than_announced_are_refused_at_once(blobs: BlobStore, paths: StationPaths) -> None:
    writer = blobs.begin_blob(Digest.of(b"abc"), 3)
    with pytest.raises(RefusedError, match="longer than announced"):
        writer.write(b"abcd")
    assert list(paths.uploads.iterdir()) == []


def test_a_cancelled_blob_leaves_nothing(blobs: BlobStore, paths: StationPaths) -> None:
    writer = blobs.begin_blob(Digest.of(b"abc"), 3)
    writer.write(b"ab")
    writer.cancel()
    writer.cancel()
    assert list(paths.uploads.iterdir()) == []


def test_cancel_after_commit_is_harmless(blobs: BlobStore) -> None:
    digest = Digest.of(b"abc")
    writer = blobs.begin_blob(digest, 3)
    writer.write(b"abc")
    writer.commit()
    writer.cancel()
    assert blobs.has_blob(digest)


def test_a_rotted_copy_is_healed_by_the_same_blob_coming_again(blobs: BlobStore, paths: StationPaths) -> None:
    digest = Digest.of(b"abc")
    blobs.put(b"abc", digest)
    paths.blob(digest).write_bytes(b"abX")
    blobs.put(b"abc", digest)
    assert paths.blob(digest).read_bytes() == b"abc"


def test_what_is_not_held_is_not_found(blobs: BlobStore) -> None:
    for read in (blobs.open_blob, blobs.size):
        with pytest.raises(NotFoundError):
            read(Digest.of(b"never"))


def test_a_link_in_a_blobs_place_is_no_blob(blobs: BlobStore, paths: StationPaths, tmp_path: Path) -> None:
    digest = Digest.of(b"secret")
    (tmp_path / "elsewhere").write_bytes(b"secret")
    paths.blob(digest).symlink_to(tmp_path / "elsewhere")
    assert not blobs.has_blob(digest)
    with pytest.raises(FailedError):
        blobs.open_blob(digest)


def test_a_removed_blob_is_gone(blobs: BlobStore) -> None:
    digest = Digest.of(b"abc")
    blobs.put(b"abc", digest)
    blobs.remove(digest)
    blobs.remove(digest)
    assert not blobs.has_blob(digest)
