"""A blob is whole or it is not there: in files, and in a bucket of a real server."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.ports import Blobs
from bundles.errors import FailedError, NotFoundError, RefusedError
from bundles.oci.digest import Digest

LARGE = os.urandom(700_000)


def put(blobs: Blobs, data: bytes, digest: Digest) -> None:
    writer = blobs.begin_blob(digest, len(data))
    writer.write(data)
    writer.commit()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("body", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_what_was_committed_reads_back_with_its_crc32(stored: Blobs, algorithm: str, body: bytes) -> None:
    digest = Digest.of(body, algorithm)
    writer = stored.begin_blob(digest, len(body))
    for start in range(0, len(body), 300_000):
        writer.write(memoryview(body)[start : start + 300_000])
    writer.commit()
    with stored.open_blob(digest) as stream:
        assert stream.read() == body
    assert writer.crc32 == zlib.crc32(body)
    assert stored.size(digest) == len(body)


def test_a_blob_is_not_there_before_its_commit(stored: Blobs) -> None:
    writer = stored.begin_blob(Digest.of(b"abc"), 3)
    writer.write(b"abc")
    assert not stored.has_blob(Digest.of(b"abc"))
    writer.commit()
    assert stored.has_blob(Digest.of(b"abc"))


@pytest.mark.parametrize("body", [b"abd", b"ab", b""])
def test_other_bytes_than_the_digests_are_refused_and_leave_nothing(
    stored: Blobs, paths: StationPaths, body: bytes
) -> None:
    writer = stored.begin_blob(Digest.of(b"abc"), 3)
    writer.write(body)
    with pytest.raises(RefusedError, match="not its digest's"):
        writer.commit()
    assert not stored.has_blob(Digest.of(b"abc"))
    assert list(paths.uploads.iterdir()) == []


def test_more_bytes_than_announced_are_refused_at_once(stored: Blobs, paths: StationPaths) -> None:
    writer = stored.begin_blob(Digest.of(b"abc"), 3)
    with pytest.raises(RefusedError, match="longer than announced"):
        writer.write(b"abcd")
    assert list(paths.uploads.iterdir()) == []


def test_a_cancelled_blob_leaves_nothing(stored: Blobs, paths: StationPaths) -> None:
    writer = stored.begin_blob(Digest.of(b"abc"), 3)
    writer.write(b"ab")
    writer.cancel()
    writer.cancel()
    assert list(paths.uploads.iterdir()) == []


def test_cancel_after_commit_is_harmless(stored: Blobs) -> None:
    digest = Digest.of(b"abc")
    writer = stored.begin_blob(digest, 3)
    writer.write(b"abc")
    writer.commit()
    writer.cancel()
    assert stored.has_blob(digest)


def test_a_rotted_copy_is_healed_by_the_same_blob_coming_again(
    stored: Blobs, exchange: Callable[[Digest, bytes], object]
) -> None:
    digest = Digest.of(b"abc")
    put(stored, b"abc", digest)
    exchange(digest, b"abX")
    put(stored, b"abc", digest)
    with stored.open_blob(digest) as file:
        assert file.read() == b"abc"


def test_what_is_not_held_is_not_found(stored: Blobs) -> None:
    for read in (stored.open_blob, stored.size):
        with pytest.raises(NotFoundError):
            read(Digest.of(b"never"))


def test_a_link_in_a_blobs_place_is_no_blob(blobs: BlobStore, paths: StationPaths, tmp_path: Path) -> None:
    digest = Digest.of(b"secret")
    (tmp_path / "elsewhere").write_bytes(b"secret")
    paths.blob(digest).symlink_to(tmp_path / "elsewhere")
    assert not blobs.has_blob(digest)
    with pytest.raises(FailedError):
        blobs.open_blob(digest)


def test_a_removed_blob_is_gone(stored: Blobs) -> None:
    digest = Digest.of(b"abc")
    put(stored, b"abc", digest)
    stored.remove(digest)
    stored.remove(digest)
    assert not stored.has_blob(digest)
