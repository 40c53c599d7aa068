"""Where a bundle's blobs go as they are verified: into the store, linked to nothing, visible to nobody."""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path

from appliance.station import Station
from appliance.store.blobs import FileBlobWriter, Tally
from appliance.store.writes.registry import BlobRow
from bundles import limits
from bundles.errors import FailedError, RefusedError
from bundles.files import os_failure
from bundles.manifest import BundleManifest
from bundles.oci.digest import Digest
from bundles.volumes.read import Range


class StoreSink:
    """A VolumeSink over the blob store.

    A blob larger than a volume grows in one file in `uploads/`, each part straight at its place, so nothing is written
    twice; its digest is taken as the parts pass in order, or from one more read where they came out of order.
    """

    def __init__(self, station: Station, manifest: BundleManifest, bundle: Digest, verified: set[int]) -> None:
        """`verified` are volumes that an earlier run recorded: their parts are durable."""
        self._blobs, self._metadata = station.blobs, station.metadata
        self._prefix = station.paths.uploads / f"join-{bundle.hex[:16]}"
        self._rows: dict[Digest, BlobRow] = {}
        self._tallies: dict[Digest, Tally] = {}
        self._left: dict[Digest, set[int]] = {}
        for blob in manifest.blobs:
            if blob.parts:
                open_parts = {number for number, part in enumerate(blob.parts, 1) if part.volume not in verified}
                self._left[Digest.parse(blob.digest)] = open_parts

    def take_rows(self, ranges: list[Range]) -> tuple[BlobRow, ...]:
        """The rows of a verified volume's blobs that are whole in the store. Clears them."""
        digests = {entry.digest for entry in ranges}
        rows = [self._rows.pop(digest) for digest in digests if digest in self._rows]
        rows += [self._row_of(digest) for digest in digests - {Digest.parse(row.digest) for row in rows}
                 if self._metadata.blob(digest) is None and self._blobs.has_blob(digest)]  # fmt: skip
        return tuple(rows)

    def has_blob(self, digest: Digest) -> bool:
        """As BlobSink.has_blob."""
        return self._blobs.has_blob(digest)

    def begin_blob(self, digest: Digest, size: int) -> _Noted:
        """As BlobSink.begin_blob."""
        return _Noted(self, self._blobs.begin_blob(digest, size), digest, size)

    def has_part(self, digest: Digest, number: int) -> bool:
        """As PartSink.has_part."""
        return number not in self._left[digest]

    def begin_part(self, digest: Digest, size: int, number: int, offset: int, length: int) -> _Part:
        """As PartSink.begin_part."""
        if number == 1:
            self._tallies[digest] = Tally(digest.algorithm)
        tally = self._tallies.get(digest)
        if tally is not None and tally.size != offset:
            del self._tallies[digest]
            tally = None
        return _Part(self, digest, size, number, offset, tally)

    def join_path(self, digest: Digest) -> Path:
        """The file in `uploads/` in which a blob's parts grow together."""
        return self._prefix.with_name(f"{self._prefix.name}-{digest.hex}")

    def note(self, digest: Digest, size: int, crc32: int) -> None:
        """A blob is whole and durable in the store."""
        self._rows[digest] = BlobRow(digest=str(digest), size=size, crc32=crc32)

    def part_done(self, digest: Digest, size: int, number: int) -> None:
        """A part is durable; the last one makes the blob. Raises RefusedError where the whole is not its digest's."""
        self._left[digest].discard(number)
        if self._left[digest]:
            return
        tally = self._tallies.pop(digest, None)
        path = self.join_path(digest)
        if tally is None or tally.size != size:
            tally = _read_again(path, digest)
        if tally.digest != digest or tally.size != size:
            path.unlink()
            raise RefusedError("the joined parts are not the signed blob", thing=str(digest))
        self._blobs.place(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path, digest)
        self.note(digest, size, tally.crc32)

    def _row_of(self, digest: Digest) -> BlobRow:
        """The row of a blob that a run that was cut off left behind: its CRC-32 takes a read."""
        crc32, size = 0, 0
        with self._blobs.open_blob(digest) as file:
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
    """A part on its way to its place in the whole."""

    def __init__(
        self, sink: StoreSink, digest: Digest, size: int, number: int, offset: int, tally: Tally | None
    ) -> None:
        self._sink, self._digest, self._size, self._number = sink, digest, size, number
        self._position, self._tally = offset, tally
        self._path = sink.join_path(digest)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
            if os.fstat(self._descriptor).st_size < size:
                os.posix_fallocate(self._descriptor, 0, size)
        except OSError as error:
            raise os_failure(error, self._path, "a blob cannot be stored") from None

    def write(self, data: bytes | memoryview) -> None:
        if self._tally is not None:
            self._tally.update(data)
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._descriptor, view, self._position)
                self._position += written
                view = view[written:]
        except OSError as error:
            raise os_failure(error, self._path, "a blob cannot be stored") from None

    def commit(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise FailedError(f"a blob cannot be stored ({error.strerror})", thing=str(self._digest)) from None
        self._close()
        self._sink.part_done(self._digest, self._size, self._number)

    def cancel(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
