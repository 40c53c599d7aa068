"""Blobs that arrive from elsewhere and may be cut off: `uploads/partials/<algorithm>-<hex>-<repository>`, named by what
they are to be and by the repository they are for (16 hexadecimal digits of the sha256 of its name), so that a later
collect into it goes on behind what is there. One into another repository does not: the bytes, or the last of them, must
not be given to whoever merely names their digest.

An empty file of the same name in `uploads/delivered` says that the whole blob came for the repository: until the
repository shows it, it is not fetched for it again.

What lies there is trusted by nobody: the digest of all of it decides, and it includes what an earlier process left. A
lock (flock) keeps two writers of one blob apart; the second one gets a file of its own that nothing resumes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from appliance.limits import store as limits
from appliance.store.arriving import Tally
from appliance.store.blobs import BlobStore
from appliance.store.files import explain
from bundles.errors import RefusedError
from bundles.limits import CHUNK
from bundles.oci.digest import Digest
from bundles.volumes.cache import Trail

_SUFFIXES: Final = 2
"""How often the name is looked for again where another process took the file away in between."""


class WrongDigestError(RefusedError):
    """The bytes that arrived have another digest than they were announced with."""


class PartialBlob:
    """A blob on its way in. Blocking; for one thread at a time. `size` and `crc32` may be read after `commit`."""

    def __init__(self, blobs: BlobStore, digest: Digest, size: int, path: Path, fd: int) -> None:
        self._blobs, self._digest, self._announced = blobs, digest, size
        self._path, self._fd = path, fd
        self.offset = os.fstat(fd).st_size
        """Bytes that are there; the next ones are written behind them."""
        if self.offset > size:
            self.restart()
        self._tally = Tally(digest.algorithm)
        self._trail = Trail(fd, written=True, start=self.offset)

    @property
    def path(self) -> Path:
        """The file, until `commit`."""
        return self._path

    @property
    def crc32(self) -> int:
        return self._tally.crc32

    @property
    def size(self) -> int:
        return self._tally.size

    def catch_up(self, attend: Callable[[int], object]) -> None:
        """Hash what an earlier process left; `attend` is told of each stretch's bytes and may raise."""
        while self._tally.size < self.offset:
            try:
                stretch = os.pread(self._fd, min(CHUNK, self.offset - self._tally.size), self._tally.size)
            except OSError as error:
                self.cancel()
                raise explain(error, self._path) from None
            if not stretch:
                self.restart()
                return
            self._tally.update(stretch)
            attend(len(stretch))
        os.lseek(self._fd, self.offset, os.SEEK_SET)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Append bytes, hashed. Raises FailedError (the file is gone then), RefusedError when more arrives than was
        announced."""
        for piece in pieces:
            if self.offset + len(piece) > self._announced:
                self.cancel()
                raise RefusedError("a blob is longer than announced", thing=str(self._digest))
            try:
                self._blobs.files.write(self._fd, piece)
            except OSError as error:
                self.cancel()
                raise explain(error, self._path) from None
            self._tally.update(piece)
            self.offset += len(piece)
            self._trail.advance(len(piece))

    def restart(self) -> None:
        """Begin anew, without what is there. Raises FailedError."""
        try:
            self._blobs.files.truncate(self._fd, 0)
        except OSError as error:
            self.cancel()
            raise explain(error, self._path) from None
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.offset = 0
        self._tally = Tally(self._digest.algorithm)
        self._trail = Trail(self._fd, written=True)

    def check(self) -> None:
        """Raises WrongDigestError, with the bytes kept, where what is there is not the blob."""
        if self._tally.size != self._announced or self._tally.digest != self._digest:
            found = f"{self._tally.digest}, {self._tally.size} bytes"
            raise WrongDigestError("a blob's bytes are not its digest's", thing=f"{self._digest} (found {found})")

    def commit(self) -> None:
        """Check size and digest, then make it a blob; durable on return. Raises WrongDigestError, with the bytes thrown
        away, FailedError."""
        try:
            self.check()
        except WrongDigestError:
            self.cancel()
            raise
        fd, self._fd = self._fd, -1
        self._blobs.place(fd, self._path, self._digest)

    def keep(self) -> None:
        """Let go of it; what is there waits for a later process. Harmless after commit or cancel."""
        if self._fd >= 0:
            if self.offset == 0 or self._path.parent == self._blobs.uploads:
                self._blobs.files.remove(self._path)
            os.close(self._fd)
            self._fd = -1

    def cancel(self) -> None:
        """Throw it away. Harmless after commit, keep or cancel."""
        if self._fd >= 0:
            self._blobs.files.remove(self._path)
            os.close(self._fd)
            self._fd = -1


class Partials:
    """The partial blobs of one store."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs, self._folder, self._delivered = blobs, blobs.partials, blobs.delivered

    def path(self, digest: Digest, repository: str) -> Path:
        """Where what came of a blob for a repository is."""
        return self._folder / f"{digest.algorithm}-{digest.hex}-{Digest.of(repository.encode()).hex[:16]}"

    def note_delivered(self, digest: Digest, repository: str) -> None:
        """Note that the whole blob came for a repository. Where that fails it is fetched once more, no worse."""
        with contextlib.suppress(OSError):
            self._blobs.files.make_folder(self._delivered)
            os.close(self._blobs.files.create(self._mark(digest, repository)))

    def is_delivered(self, digest: Digest, repository: str) -> bool:
        """Whether that was noted, and neither `forget` nor `sweep` took the note away."""
        return self._mark(digest, repository).is_file()

    def forget(self, digest: Digest, repository: str) -> None:
        """Take the note away. Harmless where there is none."""
        with contextlib.suppress(OSError):
            self._blobs.files.remove(self._mark(digest, repository))

    def _mark(self, digest: Digest, repository: str) -> Path:
        return self._delivered / self.path(digest, repository).name

    def begin(self, digest: Digest, size: int, repository: str) -> PartialBlob:
        """Go on with a blob of a known digest and size (bytes) for a repository, or begin one. Raises FailedError,
        NoRoomError, StoreAwayError."""
        path = self.path(digest, repository)
        self._blobs.require_here()
        try:
            self._blobs.files.make_folder(self._folder)
            held = path.lstat().st_size if path.exists() else 0
            self._blobs.require_room(max(size - held, 0))
            for _ in range(_SUFFIXES):
                fd = self._open(path)
                if fd is not None and _take(fd, path):
                    return PartialBlob(self._blobs, digest, size, path, fd)
                if fd is not None:
                    os.close(fd)
            path = self._blobs.upload_path("blob")
            fd = self._blobs.create(path, size)
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as error:
            raise explain(error, path) from None
        return PartialBlob(self._blobs, digest, size, path, fd)

    def _open(self, path: Path) -> int | None:
        """The file at a name, made where there is none; None where it came in between."""
        try:
            return self._blobs.files.reopen(path)
        except FileNotFoundError:
            try:
                return self._blobs.files.create(path)
            except FileExistsError:
                return None

    def sweep(self, older_than: float, most: int = limits.PARTIALS, size: int = limits.PARTIALS_SIZE) -> int:
        """Remove what nobody has written to for `older_than` seconds, and the oldest beyond `most` files or `size`
        bytes, or of the notes beyond `limits.PARTIALS_DELIVERED`; what somebody holds stays. Returns how many."""
        before = time.time() - older_than
        return self._sweep(self._folder, before, most, size) + self._sweep(
            self._delivered, before, limits.PARTIALS_DELIVERED, size
        )

    def _sweep(self, folder: Path, before: float, most: int, size: int) -> int:
        found: list[tuple[float, int, Path]] = []
        with contextlib.suppress(FileNotFoundError):
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    status = path.lstat()
                    found.append((status.st_mtime, status.st_size, path))
        removed = kept = 0
        for number, (modified, length, path) in enumerate(sorted(found, reverse=True)):
            kept += length
            if (modified < before or number >= most or kept > size) and self._give_up(path):
                removed += 1
        return removed

    def _give_up(self, path: Path) -> bool:
        try:
            fd = self._blobs.files.reopen(path)
        except OSError:
            return False
        try:
            if not _take(fd, path):
                return False
            self._blobs.files.remove(path)
            return True
        finally:
            os.close(fd)


def _take(fd: int, path: Path) -> bool:
    """Lock an opened file; False where another holds it, or where it was removed or became a blob meanwhile."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), path.lstat())
    except (BlockingIOError, FileNotFoundError):
        return False
