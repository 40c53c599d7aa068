"""Blobs on their way in: written to a file, hashed as they arrive, and handed to the store that they are for."""

from __future__ import annotations

import fcntl
import os
import zlib
from pathlib import Path
from typing import Final, Protocol

from appliance.limits import store as limits
from appliance.store.files import Files, explain
from appliance.store.ports import Blobs
from appliance.store.reading import Attend
from bundles.errors import CancelledError, RefusedError
from bundles.io.work_threads import WorkThread
from bundles.oci.digest import Digest, new_hasher
from bundles.volumes.cache import Trail

_HASHED_LATER: Final = 3
"""Chunks that are written and wait for their turn to be hashed."""


class Tally:
    """What is known of bytes as they pass: their count, their digest in one algorithm, and their CRC-32."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.size = 0
        self.crc32 = 0
        self._hasher = new_hasher(algorithm)

    def update(self, data: bytes | memoryview) -> None:
        """Count bytes in. Releases the GIL while it hashes."""
        self._hasher.update(data)
        self.crc32 = zlib.crc32(data, self.crc32)
        self.size += len(data)

    @property
    def digest(self) -> Digest:
        return Digest(self.algorithm, self._hasher.hexdigest())


class Intake(Protocol):
    """What a writer needs of the store that its blob is for: a file to write to, and where it goes once it is whole."""

    files: Files

    def upload_path(self, kind: str) -> Path: ...

    def create(self, path: Path, size: int = ...) -> int: ...

    def place(self, fd: int, path: Path, digest: Digest) -> None: ...


class Arrivals(Intake, Blobs, Protocol):
    """A store that content comes into: one that an import and a build take, wherever its blobs are."""

    def begin_blob(self, digest: Digest, size: int) -> FileBlobWriter: ...

    def is_whole(self, digest: Digest, attend: Attend = ...) -> bool: ...


class FileBlobWriter:
    """A blob on its way in (bundles.ports.BlobWriter), for blocking callers: jobs and tests.

    `crc32` and `size` may be read after commit.
    """

    def __init__(self, store: Intake, digest: Digest, size: int) -> None:
        self._store = store
        self._digest = digest
        self._size = size
        self._tally = Tally(digest.algorithm)
        self._hashing: WorkThread[bytes | memoryview] | None = None
        self._written = 0
        self._path = store.upload_path("blob")
        self._fd = store.create(self._path, size)
        fcntl.flock(self._fd, fcntl.LOCK_EX)  # a sweep leaves it alone, however long the job pauses
        self._trail = Trail(self._fd, written=True)

    @property
    def crc32(self) -> int:
        return self._tally.crc32

    @property
    def size(self) -> int:
        return self._tally.size

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, hashing a large blob's in a thread beside the write. Raises FailedError (the file is gone
        then), RefusedError when more arrives than was announced."""
        self._written += len(data)
        if self._written > self._size:
            self.cancel()
            raise RefusedError("a blob is longer than announced", thing=str(self._digest))
        if self._hashing is None and self._size >= limits.HASH_INLINE:
            self._hashing = WorkThread(self._tally.update, _HASHED_LATER)
        if self._hashing is None:
            self._tally.update(data)
        else:
            self._hashing.put(data)
        try:
            self._store.files.write(self._fd, data)
            self._trail.advance(len(data))
        except OSError as error:
            self.cancel()
            raise explain(error, self._path) from None

    def commit(self) -> None:
        """Check size and digest, then make it a blob; durable on return. Raises RefusedError, FailedError."""
        if self._hashing is not None:
            self._hashing.close()
        if self._tally.size != self._size or self._tally.digest != self._digest:
            found = f"{self._tally.digest}, {self._tally.size} bytes"
            self.cancel()
            raise RefusedError("a blob's bytes are not its digest's", thing=f"{self._digest} (found {found})")
        fd, self._fd = self._fd, -1
        self._store.place(fd, self._path, self._digest)

    def cancel(self) -> None:
        """Throw it away. Harmless after commit or cancel."""
        if self._hashing is not None:
            self._hashing.drop(CancelledError("the blob is thrown away", thing=str(self._digest)))
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._store.files.remove(self._path)
