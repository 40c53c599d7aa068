"""A blob of a bucket as a stream. What is read from its start to its end in order is compared with its digest: the last
piece is not given out before the whole had it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import Final

from appliance.limits import store as limits
from appliance.store.s3.bucket import Bucket, Opened
from appliance.store.s3.faults import S3DamagedError, S3Error, S3LostError
from bundles.errors import CancelledError
from bundles.io.work_threads import WorkThread
from bundles.oci.digest import Digest, new_hasher

_HASHED_LATER: Final = 3
"""Pieces that came and wait for their turn to be hashed."""
_RESUMED: Final = 3
"""Times that a reader goes on where the server broke off, before it fails."""


def version_of(key: str, opened: Opened) -> int:
    """Which object it is, as a number that is not 0: another one after other bytes were put there."""
    return int.from_bytes(sha256(f"{key} {opened.version} {opened.put}".encode()).digest()[:7]) | 1


class BlobStream(io.RawIOBase):
    """The bytes of one version of a blob's object, seekable; a few times `limits.S3_PIECE` of them in memory. A seek
    costs a request, unless it goes forward by less than a piece.

    Reads raise S3DamagedError for bytes that are not the blob's, where all were read in order; S3Error where the server
    breaks off. What was read out of order is not compared with anything.
    """

    def __init__(
        self, bucket: Bucket, key: str, digest: Digest, opened: Opened,
        asking: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:  # fmt: skip
        """`asking`: what stands around each wait for the server."""
        super().__init__()
        self._asking = asking
        self.version = version_of(key, opened)
        self._bucket, self._key, self._digest = bucket, key, digest
        self._size, self._version = opened.size, opened.version
        self._pieces: Iterator[bytes] | None = opened.pieces
        self._position = 0
        """Where the next read begins."""
        self._come = 0
        """Where the next piece begins."""
        self._piece = memoryview(b"")
        """What came and was not given out."""
        self._hashed = 0
        self._hasher = new_hasher(digest.algorithm)
        self._hashing: WorkThread[bytes] | None = None
        self._broken = 0

    @property
    def size(self) -> int:
        """The bytes that the object has."""
        return self._size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        target = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if target < 0:
            raise ValueError("a position before the start")
        ahead = target - self._position
        if 0 <= ahead <= len(self._piece):
            self._piece = self._piece[ahead:]
        elif 0 < ahead < limits.S3_PIECE and self._pieces is not None and target < self._size:
            while ahead > len(self._piece):
                ahead -= len(self._piece)
                self._position += len(self._piece)
                self._next()
            self._piece = self._piece[ahead:]
        else:
            self._pieces, self._piece, self._come = None, memoryview(b""), min(target, self._size)
        self._position = target
        return target

    def readinto(self, buffer: object, /) -> int:
        taken = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if self._position >= self._size or not taken:
            if not self._size:
                self._judge()
            return 0
        if not self._piece:
            self._next()
        count = min(len(taken), len(self._piece))
        taken[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        self._position += count
        return count

    def fresh(self) -> BlobStream:
        """The same version of the object once more, to be read from its start by a request of its own."""
        unread = Opened(iter(()), self._size, self._version)
        other = BlobStream(self._bucket, self._key, self._digest, unread, self._asking)
        other._pieces, other.version = None, self.version
        return other

    def close(self) -> None:
        self._pieces = None  # the connection goes with it
        self._piece = memoryview(b"")
        if self._hashing is not None:
            self._hashing.drop(CancelledError("the blob is read no further", thing=str(self._digest)))
        super().close()

    def _next(self) -> None:
        """The next piece, counted into the digest. A server that breaks off is asked again from there on."""
        while True:
            try:
                with self._asking():
                    piece = next(self._opened(), b"")
                break
            except S3LostError:
                self._pieces = None
                self._broken += 1
                if self._broken > _RESUMED:
                    raise
        begins, self._come = self._come, self._come + len(piece)
        if not piece or self._come > self._size:
            raise S3DamagedError(self._digest, self._bucket.place, "another length than it says")
        if begins == self._hashed:
            self._hash(piece)
            self._hashed = self._come
            self._judge()
        self._piece = memoryview(piece)

    def _opened(self) -> Iterator[bytes]:
        if self._pieces is None:
            opened = self._bucket.open(self._key, self._come, self._version)
            if opened is None:
                raise S3Error(
                    "a blob went while it was read", thing=f"{self._digest} ({self._bucket.place.url})",
                    remedy="read it again",
                )  # fmt: skip
            self._pieces = opened.pieces
        return self._pieces

    def _hash(self, piece: bytes) -> None:
        """Count a piece into the digest, a large blob's beside the reading of the next one."""
        if self._hashing is None and self._size >= limits.HASH_INLINE:
            self._hashing = WorkThread(self._hasher.update, _HASHED_LATER)
        if self._hashing is None:
            self._hasher.update(piece)
        else:
            self._hashing.put(piece)

    def _judge(self) -> None:
        """Raises S3DamagedError where all was read in order and is another blob."""
        if self._hashed != self._size:
            return
        if self._hashing is not None:
            self._hashing.close()
        if self._hasher.hexdigest() != self._digest.hex:
            raise S3DamagedError(
                self._digest, self._bucket.place, f"{self._digest.algorithm}:{self._hasher.hexdigest()}"
            )
