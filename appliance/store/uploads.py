"""Upload sessions: blobs on their way in from clients, request by request, worker by worker.

A session is one file in `uploads/`, named by its id and a hash of its repository, so that under any other repository
it does not exist. The file's size is the offset: nothing else must be kept in step with it, and a worker that dies
leaves exactly the bytes that arrived. A lock on the file (flock) keeps two requests apart, in whichever processes.

Hash objects cannot cross processes. Each worker keeps the tally of sessions it has written to; where another worker
wrote in between, or PUT names another algorithm, the bytes missing from the tally are read again, once, at the end.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from typing import Final

from appliance.limits import registry as registry_limits
from appliance.limits import store as limits
from appliance.store.arriving import Tally
from appliance.store.blobs import BlobStore
from appliance.store.files import FULL, explain
from appliance.store.partials import Partials
from bundles.errors import FailedError, MalformedError, NotFoundError
from bundles.limits import CHUNK
from bundles.oci.digest import ALGORITHMS, Digest

_ID: Final = re.compile(rf"[0-9a-f]{{32}}-(?P<algorithm>{'|'.join(ALGORITHMS)})\Z")


class BusyError(Exception):
    """Another request holds the session; try again shortly."""


class UploadSession:
    """One session, held under its lock. Blocking; one thread at a time; `close` (or commit, cancel) lets go of it."""

    def __init__(self, sessions: UploadSessions, upload_id: str, path: Path, fd: int, tally: Tally) -> None:
        self._sessions = sessions
        self._path = path
        self._fd = fd
        self._tally = tally
        self.upload_id = upload_id
        self.offset = os.lseek(fd, 0, os.SEEK_END)

    def append(self, data: bytes | memoryview) -> None:
        """Take bytes in at the offset. Raises FailedError; a full disk ends the session and frees its bytes."""
        blobs = self._sessions.blobs
        try:
            blobs.require_room()
        except FailedError:
            self.cancel()
            raise
        try:
            self._write(data)
        except OSError as error:
            self.cancel()
            raise explain(error, self._path) from None
        if self._tally.size == self.offset:
            self._tally.update(data)
        self.offset += len(data)

    def _write(self, data: bytes | memoryview) -> None:
        """Write at the offset; where the disk is full, once more after the graveyard gave room back. Raises OSError."""
        blobs = self._sessions.blobs
        try:
            blobs.files.write(self._fd, data)
        except OSError as error:
            if error.errno not in FULL or not blobs.make_room(len(data)):
                raise
            blobs.files.truncate(self._fd, self.offset)
            os.lseek(self._fd, self.offset, os.SEEK_SET)
            blobs.files.write(self._fd, data)

    def revert(self, offset: int) -> None:
        """Drop what came after `offset`: a chunk that was not what it announced."""
        self._sessions.blobs.files.truncate(self._fd, offset)
        os.lseek(self._fd, offset, os.SEEK_SET)
        if self._tally.size > offset:
            self._tally = Tally(self._tally.algorithm)
        self.offset = offset

    def check(self, digest: Digest) -> None:
        """Read what is missing from the tally: after that, `commit` reads nothing.

        Raises MalformedError where the bytes have another digest; the session is over then, its bytes are of no use.
        Raises ReadOnlyError where the disk is nearly full, StoreAwayError; the session stays, and may be ended later.
        """
        self._sessions.blobs.require_room()
        self._sessions.blobs.require_here()
        tally = self._tally if self._tally.algorithm == digest.algorithm else Tally(digest.algorithm)
        while tally.size < self.offset:
            tally.update(os.pread(self._fd, min(CHUNK, self.offset - tally.size), tally.size))
        self._tally = tally
        if tally.digest != digest:
            self.cancel()
            raise MalformedError("the content has another digest", thing=f"{digest} (found {tally.digest})")

    def commit(self, digest: Digest) -> Tally:
        """Check the digest and make it a blob; durable on return, and the session is over.

        Returns its size and CRC-32. Raises MalformedError and ReadOnlyError as `check` does, FailedError where the disk
        fails.
        """
        self.check(digest)
        tally = self._tally
        fd, self._fd = self._fd, -1
        self._sessions.blobs.place(fd, self._path, digest)
        return tally

    def cancel(self) -> None:
        """End the session and throw its bytes away. Harmless after commit or close."""
        if self._fd >= 0:
            self._sessions.blobs.files.remove(self._path)
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Let the next request go on with it. Harmless after commit or cancel."""
        if self._fd >= 0:
            self._sessions.remember(self.upload_id, self._tally)
            os.close(self._fd)
            self._fd = -1


class UploadSessions:
    """The sessions of one store, as one worker sees them."""

    def __init__(self, blobs: BlobStore) -> None:
        self.blobs = blobs
        self._tallies: OrderedDict[str, Tally] = OrderedDict()

    def start(self, repository: str, algorithm: str = "sha256") -> UploadSession:
        """A new session, held. Raises FailedError, MalformedError for an algorithm nobody supports."""
        tally = Tally(algorithm)
        upload_id = f"{secrets.token_hex(16)}-{algorithm}"
        path = self._path(repository, upload_id)
        fd = self.blobs.create(path)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return UploadSession(self, upload_id, path, fd, tally)

    def resume(self, repository: str, upload_id: str) -> UploadSession:
        """The session, held. Raises NotFoundError where there is none (any more), BusyError where another holds it."""
        parts = _ID.match(upload_id)
        path = self._path(repository, upload_id)
        missing = NotFoundError("no such upload", thing=upload_id[:80], remedy="start again with POST")
        if parts is None:
            raise missing
        try:
            fd = self.blobs.files.reopen(path)
        except FileNotFoundError:
            self.blobs.require_here()
            raise missing from None
        except OSError as error:
            raise explain(error, path) from None
        if not _lock(fd, path):
            os.close(fd)
            raise missing
        tally = self._tallies.pop(upload_id, None)
        if tally is None or tally.size > os.fstat(fd).st_size:
            tally = Tally(parts["algorithm"])
        return UploadSession(self, upload_id, path, fd, tally)

    def remember(self, upload_id: str, tally: Tally) -> None:
        """Keep a tally for the session's next request, should it come to this worker."""
        self._tallies[upload_id] = tally
        while len(self._tallies) > limits.UPLOAD_TALLIES:
            self._tallies.popitem(last=False)

    def sweep(self, older_than: float) -> int:
        """Remove what nobody has written to for `older_than` seconds and nobody holds; returns how many files.

        Takes what a killed job left in `uploads/` too, and partial blobs of `limits.PARTIAL_EXPIRES`, or of
        `older_than` where that is less than `limits.UPLOAD_EXPIRES`. Grows with the files there.
        """
        partial = limits.PARTIAL_EXPIRES if older_than >= registry_limits.UPLOAD_EXPIRES else older_than
        removed = Partials(self.blobs).sweep(partial)
        before = time.time() - older_than
        for path in list(self.blobs.uploads.iterdir()):
            try:
                if path.lstat().st_mtime >= before:
                    continue
                fd = self.blobs.files.reopen(path)
            except OSError:
                continue
            try:
                if _lock(fd, path) and os.fstat(fd).st_mtime < before:
                    self.blobs.files.remove(path)
                    removed += 1
            except BusyError:
                continue
            finally:
                os.close(fd)
        return removed

    def _path(self, repository: str, upload_id: str) -> Path:
        owner = sha256(repository.encode()).hexdigest()[:32]
        return self.blobs.uploads / f"session-{upload_id}.{owner}"


def _lock(fd: int, path: Path) -> bool:
    """Lock an opened file; False where, meanwhile, it was removed or became a blob. Raises BusyError."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), path.lstat())
    except BlockingIOError:
        raise BusyError from None
    except FileNotFoundError:
        return False
