"""The store of a station whose blobs are in a bucket: what arrives is on this machine's disk, what is held is not."""

from __future__ import annotations

import errno
import io
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.files import Files
from appliance.store.presence import StoreAwayError
from appliance.store.reading import Attend, UnreadableError, Verdict, unattended
from appliance.store.s3.blobs import drain
from appliance.store.s3.breaker import Breaker
from appliance.store.s3.faults import S3DamagedError, S3Error
from appliance.store.s3.place import S3Place
from appliance.store.s3.reading import BlobStream
from appliance.store.s3.way import Way
from appliance.store.s3.yard import BucketYard
from bundles.errors import LockgateError
from bundles.oci.digest import Digest


class BucketStore(BlobStore):
    """As `BlobStore`, with the blobs, the graveyard and what was withdrawn in a bucket.

    The bucket is opened by the first call that asks it, in each process anew. A server that does not answer is
    `StoreAwayError`: nothing is called missing or damaged for that.
    """

    is_remote = True

    def __init__(
        self, paths: StationPaths, place: S3Place, way: Callable[[BlobStore], Way], files: Files | None = None
    ) -> None:
        """`way` opens this process's way to the bucket, with this store for what arrives."""
        super().__init__(paths, files)
        self.place_of = place
        self._open_way = way
        self._opened: tuple[int, Way] | None = None
        self._breaker = Breaker()
        self.graveyard = BucketYard(paths, self.files, self._way)

    def _way(self) -> Way:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), self._open_way(self)
        return self._opened[1]

    def claim(self) -> None:
        self._way().blobs.claim()

    def require_here(self) -> None:
        """Raises StoreAwayError where the folder of arrivals is not the station's, or the bucket is not, or does not
        answer. A request."""
        self._presence.require()
        with self._breaker.asking():
            self._way().blobs.require_here()

    def away(self) -> str:
        try:
            self.require_here()
        except LockgateError as error:
            return f"{error.what} ({error.thing})"
        return ""

    def has_blob(self, digest: Digest) -> bool:
        with self._breaker.asking():
            return self._way().blobs.has_blob(digest)

    def size(self, digest: Digest) -> int:
        with self._breaker.asking():
            return self._way().blobs.size(digest)

    def open_blob(self, digest: Digest) -> BinaryIO:
        return io.BufferedReader(self._stream(digest), limits.S3_PIECE)

    def _stream(self, digest: Digest) -> BlobStream:
        with self._breaker.asking():
            return self._way().blobs.stream(digest, self._breaker.asking)

    def place(self, fd: int, path: Path, digest: Digest) -> None:
        try:
            self._presence.require()
            with self._breaker.asking():
                self._way().blobs.place(os.dup(fd), path, digest)
        finally:
            os.close(fd)
            self.files.remove(path)

    def version(self, digest: Digest) -> int:
        with self._breaker.asking():
            return self._way().blobs.version(digest)

    def version_in(self, stream: BinaryIO, digest: Digest) -> int:
        return _raw(stream).version

    def size_in(self, stream: BinaryIO, digest: Digest) -> int:
        return _raw(stream).size

    def examine(self, stream: BinaryIO, digest: Digest, attend: Attend = unattended, *, fresh: bool = False) -> Verdict:
        """As `BlobStore.examine`: two reads of the object that was opened, each from the bucket, and leaves
        the stream alone. Raises UnreadableError, StoreAwayError."""
        if _has(stream, digest, attend):
            return Verdict.WHOLE
        return Verdict.REREAD if _has(stream, digest, unattended) else Verdict.DAMAGED

    def facts(self, digest: Digest) -> tuple[int, int] | None:
        size = crc32 = 0
        try:
            with self._stream(digest) as stream:
                while piece := stream.read(limits.S3_PIECE):
                    size, crc32 = size + len(piece), zlib.crc32(piece, crc32)
        except S3DamagedError:
            return None
        return size, crc32

    def seems_whole(self, digest: Digest, size: int) -> bool:
        return False

    def is_whole(self, digest: Digest, attend: Attend = unattended) -> bool:
        with self._breaker.asking():
            return self._way().blobs.is_whole(digest, attend)

    def open_aside(self, digest: Digest) -> BinaryIO:
        with self._breaker.asking():
            return self._way().aside.open(digest)

    def put_back(self, digest: Digest) -> None:
        self._way().aside.put_back(digest)

    def aside(self) -> Iterator[Digest]:
        return self._way().aside.every()

    def remove_aside(self, digest: Digest) -> None:
        self._way().aside.remove(digest)

    def set_aside(self, digest: Digest) -> None:
        self._way().aside.set_aside(digest)

    def list_names(self) -> Iterator[str]:
        return map(str, self._way().blobs.list_blobs())

    def remove(self, digest: Digest) -> None:
        self._way().blobs.remove(digest)

    def open_buried(self, digest: Digest) -> tuple[BinaryIO, str]:
        with self._breaker.asking():
            return self._way().yard.open_buried(digest)


def _raw(stream: BinaryIO) -> BlobStream:
    """What `open_blob` and its like opened, below its buffer."""
    raw = stream.raw if isinstance(stream, io.BufferedReader) else stream
    if not isinstance(raw, BlobStream):
        raise TypeError("no stream of a blob in a bucket")
    return raw


def _has(stream: BinaryIO, digest: Digest, attend: Attend) -> bool:
    """Whether one read of the whole object gives the digest. Raises UnreadableError, StoreAwayError."""
    try:
        drain(_raw(stream).fresh(), attend)
    except S3DamagedError:
        return False
    except StoreAwayError:
        raise
    except S3Error as error:
        raise UnreadableError(digest, OSError(errno.EIO, error.what)) from None
    return True
