"""Where a bundle's blobs go as they are verified: into the store, linked to nothing, visible to nobody."""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from appliance.limits import store as store_limits
from appliance.station import Station
from appliance.store.arriving import Arrivals, FileBlobWriter, Tally
from appliance.store.files import explain
from appliance.store.reading import Attend, unattended
from appliance.store.writes.content import BlobRow
from bundles import limits
from bundles.errors import RefusedError
from bundles.format.manifest import BundleManifest
from bundles.io.threads import Threads
from bundles.oci.digest import Digest
from bundles.volumes.cache import Trail
from bundles.volumes.read import Range

_HASHERS: Final = 2
"""Threads that hash a part beside its writing; the machine's smallest size has two cores."""


class StoreSink:
    """A VolumeSink over the blob store.

    A blob larger than a volume grows in one file in `uploads/joins`, each part straight at its place, so nothing is
    written twice; its digest is taken as the parts pass in order, or from one more read where they came out of order.
    Volumes of several drives may be read at once.
    """

    def __init__(
        self,
        station: Station,
        manifest: BundleManifest,
        bundle: Digest,
        verified: set[int],
        attend: Attend = unattended,
    ) -> None:
        """`verified` are volumes whose bytes an earlier run made durable, their parts among them. `attend` is told of
        bytes read from what is held already."""
        self._attend = attend
        self._whole: dict[Digest, bool] = {}
        self.brought = set[Digest]()
        """Blobs that came with this run, and were not here before."""
        self._store: Arrivals = station.blobs
        self._metadata = station.metadata
        self._folder, self._prefix = station.paths.joins, f"{bundle.hex[:16]}-"
        self._rows: dict[Digest, BlobRow] = {}
        self._tallies: dict[Digest, Tally] = {}
        self._left: dict[Digest, set[int]] = {}
        self._turn = threading.Lock()
        self.hashers = Threads(_HASHERS, thread_name_prefix="hash")
        for blob in manifest.blobs:
            if blob.parts:
                to_come = {number for number, part in enumerate(blob.parts, 1) if part.volume not in verified}
                self._left[Digest.parse(blob.digest)] = to_come
        if self._left and not self._folder.is_dir():
            self._store.files.make_folder(self._folder)
            self._store.files.sync_folder(self._folder.parent)

    def take_rows(self, ranges: Sequence[Range]) -> tuple[BlobRow, ...]:
        """The rows of a verified volume's blobs that are whole in the store. Clears them."""
        rows = []
        with self._turn:
            for digest in {entry.digest for entry in ranges}:
                row = self._rows.pop(digest, None)
                if row is None and not self._metadata.knows_blob(digest) and self._store.has_blob(digest):
                    row = self._row_of(digest)
                if row is not None:
                    rows.append(row)
        return tuple(rows)

    def holds(self, entry: Range) -> bool:
        """Whether a range that was verified once still has its bytes: in the store, or on the way to being joined."""
        if self._store.has_blob(entry.digest):
            return True
        return entry.part is not None and self.join_path(entry.digest).exists()

    def discard(self) -> None:
        """Throw away what has not become a blob."""
        for digest in self._left:
            self._store.files.remove(self.join_path(digest))

    def has_blob(self, digest: Digest) -> bool:
        """As BlobSink.has_blob. Held is what is whole, which is read once to see: a damaged copy is replaced by the
        bytes that come."""
        with self._turn:
            whole = self._whole.get(digest)
        if whole is None:
            whole = self._store.is_whole(digest, self._attend)
            with self._turn:
                self._whole[digest] = whole
        return whole

    def begin_blob(self, digest: Digest, size: int) -> _Noted:
        """As BlobSink.begin_blob."""
        return _Noted(self, self._store.begin_blob(digest, size), digest, size)

    def has_part(self, digest: Digest, number: int) -> bool:
        """As PartSink.has_part."""
        return number not in self._left[digest]

    def begin_part(self, digest: Digest, size: int, number: int, offset: int, length: int) -> _Part:
        """As PartSink.begin_part."""
        with self._turn:
            if number == 1:
                self._tallies[digest] = Tally(digest.algorithm)
            tally = self._tallies.get(digest)
            if tally is not None and tally.size != offset:
                del self._tallies[digest]
                tally = None
        descriptor = self._open_join(digest, size)
        return _Part(self, self._store, descriptor, self.join_path(digest), digest, size, number, offset, tally)

    def join_path(self, digest: Digest) -> Path:
        """The file in which a blob's parts grow together."""
        return self._folder / f"{self._prefix}{digest.algorithm}-{digest.hex}"

    def _open_join(self, digest: Digest, size: int) -> int:
        """The file, at its full size from the beginning: a full disk shows before the work, not after it."""
        path = self.join_path(digest)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise explain(error, path) from None
        try:
            if os.fstat(descriptor).st_size < size:
                os.posix_fallocate(descriptor, 0, size)
                self._store.files.sync_folder(self._folder)
        except OSError as error:
            os.close(descriptor)
            raise explain(error, path) from None
        return descriptor

    def note(self, digest: Digest, size: int, crc32: int) -> None:
        """A blob is whole and durable in the store."""
        self._whole[digest] = True
        self.brought.add(digest)
        self._rows[digest] = BlobRow(digest=str(digest), size=size, crc32=crc32)

    def part_done(self, digest: Digest, size: int, number: int) -> None:
        """A part is durable; the last one makes the blob. Raises RefusedError where the whole is not its digest's."""
        with self._turn:
            self._left[digest].discard(number)
            if self._left[digest]:
                return
            tally = self._tallies.pop(digest, None)
        path = self.join_path(digest)
        if tally is None or tally.size != size:
            tally = _read_again(path, digest)
        if tally.digest != digest or tally.size != size:
            self._store.files.remove(path)
            raise RefusedError("the joined parts are not the signed blob", thing=str(digest))
        self._store.place(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path, digest)
        self.note(digest, size, tally.crc32)

    def _row_of(self, digest: Digest) -> BlobRow:
        """The row of a blob that a run that was cut off left behind: its CRC-32 takes a read."""
        crc32, size = 0, 0
        with self._store.open_blob(digest) as file:
            while chunk := file.read(limits.CHUNK):
                crc32 = zlib.crc32(chunk, crc32)
                size += len(chunk)
        return BlobRow(digest=str(digest), size=size, crc32=crc32)


def _read_again(path: Path, digest: Digest) -> Tally:
    tally = Tally(digest.algorithm)
    with path.open("rb") as file:
        while chunk := file.read(limits.CHUNK):
            tally.update(chunk)
    return tally


class _Noted:
    """A blob's writer that notes the blob when it is durable."""

    def __init__(self, sink: StoreSink, writer: FileBlobWriter, digest: Digest, size: int) -> None:
        self._sink, self._writer, self._digest, self._size = sink, writer, digest, size

    def write(self, data: bytes | memoryview) -> None:
        self._writer.write(data)

    def commit(self) -> None:
        self._writer.commit()
        self._sink.note(self._digest, self._size, self._writer.crc32)

    def cancel(self) -> None:
        self._writer.cancel()


class _Part:
    """A part on its way to its place in the whole, which is hashed beside the writing where `tally` has come so far."""

    def __init__(
        self, sink: StoreSink, store: Arrivals, descriptor: int, path: Path,
        digest: Digest, size: int, number: int, offset: int, tally: Tally | None,
    ) -> None:  # fmt: skip
        self._sink, self._store, self._descriptor, self._path = sink, store, descriptor, path
        self._digest, self._size, self._number = digest, size, number
        self._position, self._tally = offset, tally
        self._trail = Trail(descriptor, written=True, start=offset)

    def write(self, data: bytes | memoryview) -> None:
        if self._tally is None or len(data) < store_limits.HASH_INLINE:
            if self._tally is not None:
                self._tally.update(data)
            self._write(data)
            return
        hashing = self._sink.hashers.submit(self._tally.update, data)
        try:
            self._write(data)
        finally:
            hashing.result()

    def _write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, self._position)
                self._position += written
                self._trail.advance(written)
                rest = rest[written:]
        except OSError as error:
            raise explain(error, self._path) from None

    def commit(self) -> None:
        try:
            self._store.files.sync(self._descriptor)
        except OSError as error:
            raise explain(error, self._path) from None
        self.cancel()
        self._sink.part_done(self._digest, self._size, self._number)

    def cancel(self) -> None:
        """Let go of the file; the part's bytes are written over when it comes again."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
