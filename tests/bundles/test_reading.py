"""Reading a volume at signed offsets: each blob by its own digest, the whole by the volume's, and no 7z parsed."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import msgspec
import pytest

from bundles.errors import CancelledError, FailedError, RefusedError
from bundles.format.manifest import BundleManifest, volume_path
from bundles.oci.digest import Digest
from bundles.volumes.read import ranges_of, read_volume
from tests.bundles.small import SmallBundle


class MemorySink:
    """A VolumeSink over dicts, which trusts nothing: a blob is whole when its digest says so."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.parts: dict[Digest, dict[int, tuple[int, bytes]]] = {}
        self.begun: list[str] = []
        self.cancelled = 0

    def has_blob(self, digest: Digest) -> bool:
        return digest in self.blobs

    def has_part(self, digest: Digest, number: int) -> bool:
        return number in self.parts.get(digest, {})

    def begin_blob(self, digest: Digest, size: int) -> MemoryBlob:
        self.begun.append(str(digest))
        return MemoryBlob(self, digest, size)

    def begin_part(self, digest: Digest, size: int, number: int, offset: int, length: int) -> MemoryPart:
        self.begun.append(f"{digest}#{number}")
        return MemoryPart(self, digest, size, number, offset)


class MemoryBlob:
    def __init__(self, sink: MemorySink, digest: Digest, size: int) -> None:
        self.sink, self.digest, self.size, self.data = sink, digest, size, bytearray()

    def write(self, data: bytes | memoryview) -> None:
        self.data += data

    def commit(self) -> None:
        if Digest.of(bytes(self.data), self.digest.algorithm) != self.digest:
            raise RefusedError("the bytes are not the blob", thing=str(self.digest))
        self.sink.blobs[self.digest] = bytes(self.data)

    def cancel(self) -> None:
        self.sink.cancelled += 1


class MemoryPart(MemoryBlob):
    def __init__(self, sink: MemorySink, digest: Digest, size: int, number: int, offset: int) -> None:
        super().__init__(sink, digest, size)
        self.number, self.offset = number, offset

    def commit(self) -> None:
        parts = self.sink.parts.setdefault(self.digest, {})
        parts[self.number] = (self.offset, bytes(self.data))
        if sum(len(data) for _, data in parts.values()) == self.size:
            whole = b"".join(data for _, data in sorted(parts.values()))
            if Digest.of(whole, self.digest.algorithm) != self.digest:
                raise RefusedError("the joined parts are not the signed blob", thing=str(self.digest))
            self.sink.blobs[self.digest] = whole


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("bundle"))


def read(
    folder: Path, manifest: BundleManifest, index: int, sink: MemorySink | None = None, seen: list[int] | None = None
) -> None:
    counted = [] if seen is None else seen
    read_volume(folder / volume_path(index), manifest, index, ranges_of(manifest)[index], sink, counted.append)


def copy_of(bundle: SmallBundle, index: int, to: Path) -> Path:
    """The volume alone in a folder, to be damaged."""
    path = to / volume_path(index)
    path.parent.mkdir()
    path.write_bytes((bundle.folder / volume_path(index)).read_bytes())
    return path


@pytest.mark.parametrize("seed", range(5))
def test_volumes_come_in_any_order_and_give_every_blob(bundle: SmallBundle, seed: int) -> None:
    indexes = [volume.index for volume in bundle.manifest.volumes]
    random.Random(seed).shuffle(indexes)
    sink = MemorySink()
    for index in indexes:
        read(bundle.folder, bundle.manifest, index, sink)
    assert sink.blobs == bundle.store.blobs
    assert sink.cancelled == 0


def test_every_byte_is_counted_once(bundle: SmallBundle) -> None:
    seen: list[int] = []
    read(bundle.folder, bundle.manifest, 1, None, seen)
    assert sum(seen) == bundle.manifest.volumes[0].size


def test_what_the_sink_has_is_not_written_again(bundle: SmallBundle) -> None:
    sink = MemorySink()
    for volume in bundle.manifest.volumes:
        read(bundle.folder, bundle.manifest, volume.index, sink)
    assert sorted(sink.begun) == sorted(set(sink.begun))
    sink.begun.clear()
    for volume in bundle.manifest.volumes:
        read(bundle.folder, bundle.manifest, volume.index, sink)
    assert sink.begun == []


@pytest.mark.parametrize("held", [False, True])
def test_a_turned_bit_in_a_blob_names_the_blob_and_the_volume(bundle: SmallBundle, tmp_path: Path, held: bool) -> None:
    """Whether it is written or, being held already, only hashed."""
    path = copy_of(bundle, 1, tmp_path)
    chosen = next(entry for entry in ranges_of(bundle.manifest)[1] if entry.length and entry.part is None)
    data = bytearray(path.read_bytes())
    data[chosen.offset] ^= 1
    path.write_bytes(data)
    sink = MemorySink()
    if held:
        sink.blobs = dict(bundle.store.blobs)
    with pytest.raises(RefusedError, match=rf"{chosen.digest}.*volumes/0001\.7z"):
        read(tmp_path, bundle.manifest, 1, sink)
    assert held or chosen.digest not in sink.blobs


def test_a_turned_bit_in_a_part_names_the_part(bundle: SmallBundle, tmp_path: Path) -> None:
    path = copy_of(bundle, 2, tmp_path)
    chosen = next(entry for entry in ranges_of(bundle.manifest)[2] if entry.part is not None)
    data = bytearray(path.read_bytes())
    data[chosen.offset + chosen.length - 1] ^= 1
    path.write_bytes(data)
    sink = MemorySink()
    with pytest.raises(RefusedError, match=rf"part {chosen.part} of {chosen.digest}.*volumes/0002\.7z"):
        read(tmp_path, bundle.manifest, 2, sink)
    assert not sink.parts
    assert sink.cancelled == 1


@pytest.mark.parametrize("where", [0, 20, -1], ids=["signature", "start header", "header"])
def test_a_turned_bit_outside_every_blob_is_refused_too(bundle: SmallBundle, tmp_path: Path, where: int) -> None:
    """Nothing here reads those bytes; stock tools do."""
    path = copy_of(bundle, 1, tmp_path)
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(data)
    with pytest.raises(RefusedError, match=r"not the signed ones: volumes/0001\.7z"):
        read(tmp_path, bundle.manifest, 1)


def test_a_volume_that_is_no_archive_at_all_is_read_when_its_digest_is_signed(
    bundle: SmallBundle, tmp_path: Path
) -> None:
    """The importer follows signed offsets: what 7z would say of the file plays no part."""
    path = copy_of(bundle, 1, tmp_path)
    data = bytearray(path.read_bytes())
    data[:32] = bytes(32)
    path.write_bytes(data)
    volumes = list(bundle.manifest.volumes)
    volumes[0] = msgspec.structs.replace(volumes[0], sha256=hashlib.sha256(data).hexdigest())
    read(tmp_path, msgspec.structs.replace(bundle.manifest, volumes=volumes), 1)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_volume_of_another_size_is_refused_unread(bundle: SmallBundle, tmp_path: Path, by: int) -> None:
    path = copy_of(bundle, 1, tmp_path)
    os.truncate(path, path.stat().st_size + by)
    seen: list[int] = []
    with pytest.raises(RefusedError, match="not the signed"):
        read(tmp_path, bundle.manifest, 1, None, seen)
    assert seen == []


def test_a_volume_that_shrinks_or_grows_while_it_is_read_is_refused(bundle: SmallBundle, tmp_path: Path) -> None:
    for by in (-1, 3_000_000):
        folder = tmp_path / str(by)
        folder.mkdir()
        path = copy_of(bundle, 1, folder)
        size = path.stat().st_size
        total = 0

        def change(count: int, path: Path = path, size: int = size, by: int = by) -> None:
            nonlocal total
            total += count
            os.truncate(path, size + by)

        with pytest.raises(RefusedError, match=r"volumes/0001\.7z"):
            read_volume(path, bundle.manifest, 1, ranges_of(bundle.manifest)[1], None, change)
        assert total <= size + 2**20


def test_parts_signed_in_a_wrong_order_are_refused_when_they_are_joined(bundle: SmallBundle) -> None:
    """A lying manifest: each part is the signed one, and together they are another blob."""
    blobs = [
        msgspec.structs.replace(blob, parts=[*blob.parts[1:], blob.parts[0]]) if blob.parts else blob
        for blob in bundle.manifest.blobs
    ]
    lying = msgspec.structs.replace(bundle.manifest, blobs=blobs)
    sink = MemorySink()

    def read_all() -> None:
        for volume in lying.volumes:
            read(bundle.folder, lying, volume.index, sink)

    with pytest.raises(RefusedError, match=r"joined parts are not the signed blob.*volumes/000"):
        read_all()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_regular_file_is_a_volume(bundle: SmallBundle, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "volumes/0001.7z"
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to(bundle.folder / "volumes/0001.7z")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(RefusedError, match="not a regular file"):
        read(tmp_path, bundle.manifest, 1)


def test_a_medium_that_was_pulled_out_is_a_failure_and_no_refusal(bundle: SmallBundle, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="mounted"):
        read(tmp_path, bundle.manifest, 1)


def test_a_full_disk_under_the_sink_is_told_as_it_is(bundle: SmallBundle) -> None:
    class Full(MemorySink):
        def begin_blob(self, digest: Digest, size: int) -> MemoryBlob:
            raise FailedError("a blob cannot be stored (No space left on device)", thing=str(digest))

    with pytest.raises(FailedError, match="No space left"):
        read(bundle.folder, bundle.manifest, 1, Full())


def test_cancelling_stops_at_the_next_chunk_and_cancels_the_writer(bundle: SmallBundle) -> None:
    sink = MemorySink()

    def cancel(count: int) -> None:
        raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        read_volume(bundle.folder / "volumes/0002.7z", bundle.manifest, 2, ranges_of(bundle.manifest)[2], sink, cancel)
    assert sink.blobs == {}
