"""The port of blobs: what it promises holds for files, for a bucket of a real server, and for a store in memory
(docs/adr/0037, 0077)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from appliance.outgoing.closure_source import StationContent
from appliance.paths import StationPaths
from appliance.release_check.replay import read_bytes
from appliance.store.blobs import BlobStore
from appliance.store.database import open_writer
from appliance.store.ports import Blobs
from appliance.store.reads.registry import Metadata
from bundles.errors import NotFoundError, RefusedError
from bundles.oci.digest import Digest
from tests.s3_server import make_s3_blobs

RAW = b'{"schemaVersion": 2}'
DIGEST = Digest.of(RAW)


class MemoryBlobs:
    """Blobs that no file holds."""

    def __init__(self) -> None:
        self.held: dict[Digest, bytes] = {}

    def open_blob(self, digest: Digest) -> BinaryIO:
        if digest not in self.held:
            raise NotFoundError("no such blob", thing=str(digest))
        return io.BytesIO(self.held[digest])

    def has_blob(self, digest: Digest) -> bool:
        return digest in self.held

    def size(self, digest: Digest) -> int:
        with self.open_blob(digest) as file:
            return len(file.read())

    def begin_blob(self, digest: Digest, size: int) -> MemoryWriter:
        return MemoryWriter(self, digest, size)

    def list_blobs(self) -> Iterator[Digest]:
        return iter(list(self.held))

    def remove(self, digest: Digest) -> None:
        self.held.pop(digest, None)


class MemoryWriter:
    def __init__(self, store: MemoryBlobs, digest: Digest, size: int) -> None:
        self._store, self._digest, self._size, self._data = store, digest, size, bytearray()

    def write(self, data: bytes | memoryview) -> None:
        self._data += data

    def commit(self) -> None:
        if len(self._data) != self._size or Digest.of(bytes(self._data)) != self._digest:
            raise RefusedError("a blob's bytes are not its digest's", thing=str(self._digest))
        self._store.held[self._digest] = bytes(self._data)

    def cancel(self) -> None:
        self._data.clear()


@pytest.fixture(
    params=["files", "memory", *(pytest.param(name, marks=pytest.mark.s3) for name in ("versitygw", "swift"))]
)
def held_in(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def blobs(paths: StationPaths, held_in: str, request: pytest.FixtureRequest) -> Blobs:
    """The blobs of each implementation."""
    if held_in in {"versitygw", "swift"}:
        return make_s3_blobs(request.getfixturevalue(held_in).new_place(), BlobStore(paths))
    return BlobStore(paths) if held_in == "files" else MemoryBlobs()


def put(blobs: Blobs, data: bytes, digest: Digest) -> None:
    writer = blobs.begin_blob(digest, len(data))
    writer.write(data)
    writer.commit()


def test_a_blob_is_read_counted_listed_and_removed_by_its_digest_alone(blobs: Blobs) -> None:
    assert (list(blobs.list_blobs()), blobs.has_blob(DIGEST)) == ([], False)
    put(blobs, RAW, DIGEST)
    assert (list(blobs.list_blobs()), blobs.has_blob(DIGEST), blobs.size(DIGEST)) == ([DIGEST], True, len(RAW))
    with blobs.open_blob(DIGEST) as file:
        file.seek(2)
        assert file.read() == RAW[2:]
    blobs.remove(DIGEST)
    blobs.remove(DIGEST)
    assert (list(blobs.list_blobs()), blobs.has_blob(DIGEST)) == ([], False)


def test_what_is_not_held_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFoundError):
        blobs.open_blob(DIGEST)
    with pytest.raises(NotFoundError):
        blobs.size(DIGEST)


def test_bytes_of_another_digest_become_no_blob(blobs: Blobs) -> None:
    with pytest.raises(RefusedError):
        put(blobs, b"other bytes of the same size"[: len(RAW)], DIGEST)
    assert not blobs.has_blob(DIGEST)


def test_a_name_that_is_no_digest_is_not_listed(tmp_path: Path) -> None:
    paths = StationPaths(tmp_path)
    store = BlobStore(paths)
    put(store, RAW, DIGEST)
    (paths.blobs / "sha256" / "notes.txt").write_bytes(b"left by somebody")
    (paths.blobs / "sha512" / DIGEST.hex).write_bytes(RAW)
    assert list(store.list_blobs()) == [DIGEST]


def test_what_needs_only_the_port_works_without_files(tmp_path: Path) -> None:
    blobs, database = MemoryBlobs(), tmp_path / "metadata.sqlite"
    put(blobs, RAW, DIGEST)
    open_writer(database).close()
    metadata = Metadata(database)
    assert read_bytes(blobs, str(DIGEST)) == RAW
    assert StationContent(blobs, metadata).read(DIGEST, len(RAW)) == RAW
    metadata.close()
