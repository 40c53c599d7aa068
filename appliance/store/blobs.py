"""Blobs as files: `blobs/<algorithm>/<hex>`, written once, immutable, manifests among them.

A blob arrives in `uploads/`, is hashed as it arrives, synced, renamed, and its folder synced: what has a name is
whole. Presence here says nothing about visibility; a blob that no link names is garbage or in quarantine.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from appliance.paths import StationPaths
from appliance.store.arriving import FileBlobWriter
from appliance.store.collection_lock import CollectionLock
from appliance.store.files import Files, OsFiles, explain
from appliance.store.graveyard import Graveyard
from appliance.store.presence import Presence
from appliance.store.reading import Attend, UnreadableError, Verdict, examine, facts_of, named, unattended
from appliance.store.reserve import Reserve
from appliance.store.turns import Turns
from bundles.errors import NoSpaceError, NotFoundError
from bundles.oci.digest import ALGORITHMS, Digest, is_hex_of

_NO_FILE: Final = "something that is no file is in its place"


class BlobStore:
    """The blobs below a station's folder. Files only: who may see them is metadata's business."""

    is_remote: bool = False
    """Whether a look at a blob takes a request to another machine: no event loop may wait for one."""

    def __init__(self, paths: StationPaths, files: Files | None = None) -> None:
        self.files: Files = files or OsFiles()
        self._paths = paths
        self.gate = CollectionLock(paths)
        self.turns = Turns(paths.store)
        self.graveyard = Graveyard(paths, self.files)
        self._reserve = Reserve(paths.reserve)
        self._presence = Presence(paths)
        self.make_room: Callable[[int], bool] = _no_room
        if self._presence.away():
            return  # what is made there a later mount would hide
        for folder in (paths.uploads, *(paths.blobs / algorithm for algorithm in ALGORITHMS)):
            if not folder.is_dir():
                try:
                    self.files.make_folder(folder)
                    self.files.sync_folder(folder.parent)
                except OSError as error:  # something that is no folder is in its place, for one
                    raise explain(error, folder) from None

    def claim(self) -> None:
        """Make a new station's place of blobs its own: a folder is, by being made."""

    @property
    def uploads(self) -> Path:
        return self._paths.uploads

    @property
    def partials(self) -> Path:
        return self._paths.partials

    @property
    def delivered(self) -> Path:
        """Notes of blobs that came for a repository which does not show them yet (appliance.store.partials)."""
        return self._paths.delivered

    def upload_path(self, kind: str) -> Path:
        """A fresh name in `uploads/`; `kind` says who left it there, should it be found after a crash."""
        return self._paths.uploads / f"{kind}-{secrets.token_hex(16)}"

    def require_room(self, size: int = 0) -> None:
        """Raises ReadOnlyError where the disk is nearly full, NoRoomError where `size` more bytes do not fit; in both
        cases only once the graveyard has nothing to give for it. Three system calls. Blocking."""
        try:
            self._reserve.require(size)
        except NoSpaceError:
            if not self.make_room(size):
                raise
            self._reserve.require(size)

    def require_here(self) -> None:
        """Raises StoreAwayError where something else than the store lies in its place. Three system calls."""
        self._presence.require()

    def away(self) -> str:
        """Why the store is not in its place, "" where it is."""
        return self._presence.away()

    def create(self, path: Path, size: int = 0) -> int:
        """A new file at `path` that is to take `size` bytes. Raises FailedError; ReadOnlyError where the disk is nearly
        full, NoRoomError where they do not fit, StoreAwayError."""
        self._presence.require()
        self.require_room(size)
        try:
            try:
                return self.files.create(path)
            except FileNotFoundError:  # the folder went under the running station; the store is here
                self.files.make_folder(path.parent)
                self.files.sync_folder(path.parent.parent)
                return self.files.create(path)
        except OSError as error:
            raise explain(error, path) from None

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob is held, whole. One stat, about 2 µs. Raises UnreadableError, StoreAwayError."""
        try:
            return stat.S_ISREG(self._paths.blob(digest).lstat().st_mode)
        except FileNotFoundError:
            self.require_here()
            return False
        except OSError as error:
            raise UnreadableError(digest, error) from None

    def size(self, digest: Digest) -> int:
        """The blob's size in bytes as the file has it. Raises NotFoundError, UnreadableError, StoreAwayError."""
        try:
            return self._paths.blob(digest).lstat().st_size
        except FileNotFoundError:
            self.require_here()
            raise NotFoundError("no such blob", thing=str(digest)) from None
        except OSError as error:
            raise UnreadableError(digest, error) from None

    def path_of(self, digest: Digest) -> str:
        """Where the blob's file is, or would be; for who looks at it often."""
        return str(self._paths.blob(digest))

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The blob's bytes from the start, seekable. Raises NotFoundError, UnreadableError, StoreAwayError."""
        try:
            return _opened(self._paths.blob(digest), digest)
        except NotFoundError:
            self.require_here()
            raise

    def begin_blob(self, digest: Digest, size: int) -> FileBlobWriter:
        """Start writing a blob of a known digest and size (bytes). Raises FailedError, NoRoomError."""
        return FileBlobWriter(self, digest, size)

    def put(self, data: bytes, digest: Digest) -> int:
        """A small blob held in memory, such as a manifest; durable on return. Returns its CRC-32."""
        writer = self.begin_blob(digest, len(data))
        writer.write(data)
        writer.commit()
        return writer.crc32

    def place(self, fd: int, path: Path, digest: Digest) -> None:
        """Give the checked bytes of `fd`, at `path` in `uploads/`, their name; durable on return. Closes `fd`.

        A blob already held is replaced by the same bytes: the work is the same whether or not it was there, so no
        client learns from the time it takes what lies in quarantine, and a rotted copy is healed.
        Raises FailedError; the file is gone then. Raises StoreAwayError where the store went away meanwhile.
        """
        target = self._paths.blob(digest)
        try:
            try:
                self.files.sync(fd)
            finally:
                os.close(fd)
            self.require_here()
            try:
                self.files.rename(path, target)
            except IsADirectoryError:  # no file can be put over a folder
                self._move_folder_away(target)
                self.files.rename(path, target)
            self.files.sync_folder(target.parent)
        except OSError as error:
            self.require_here()
            self.files.remove(path)
            raise explain(error, path) from None
        self.require_here()  # it may have gone between the two

    def _move_folder_away(self, target: Path) -> None:
        """Take a folder away that stands in a blob's place; one with content to `damaged/`, under a name of no blob."""
        with contextlib.suppress(OSError):
            target.rmdir()
            return
        self.files.make_folder(self._paths.damaged)
        self.files.rename(target, self._paths.damaged / f"folder-{secrets.token_hex(16)}")

    def version(self, digest: Digest) -> int:
        """Which file the blob is, 0 where there is none: it is another one after every `place`.

        Raises UnreadableError, StoreAwayError.
        """
        try:
            return self._paths.blob(digest).lstat().st_ino
        except FileNotFoundError:
            self.require_here()
            return 0
        except OSError as error:
            raise UnreadableError(digest, error) from None

    def version_in(self, stream: BinaryIO, digest: Digest) -> int:
        """As `version`, of what `open_blob` and its like opened. Raises UnreadableError."""
        with named(digest):
            return os.fstat(stream.fileno()).st_ino

    def size_in(self, stream: BinaryIO, digest: Digest) -> int:
        """The bytes of what was opened. Raises UnreadableError."""
        with named(digest):
            return os.fstat(stream.fileno()).st_size

    def examine(self, stream: BinaryIO, digest: Digest, attend: Attend = unattended, *, fresh: bool = False) -> Verdict:
        """What two reads say of what was opened (`appliance.store.reading.examine`). Leaves its position alone.
        Blocking. Raises UnreadableError."""
        return examine(stream.fileno(), digest, attend, fresh=fresh)

    def facts(self, digest: Digest) -> tuple[int, int] | None:
        """Size and CRC-32 of a blob whose bytes have its digest, None where they have not. One read. Blocking. Raises
        NotFoundError, UnreadableError."""
        with self.open_blob(digest) as file:
            return facts_of(file.fileno(), digest)

    def seems_whole(self, digest: Digest, size: int) -> bool:
        """Whether a look that does not wait finds the blob with so many bytes; False says nothing. One stat."""
        try:
            return os.lstat(self._paths.blob(digest)).st_size == size
        except OSError:
            return False

    def is_whole(self, digest: Digest, attend: Attend = unattended) -> bool:
        """Whether the blob is held and its bytes have its digest: a read of all of it from the disk, of which
        `attend` is told. Blocking. What cannot be read is not whole: bytes that arrive are to replace it."""
        try:
            with self.open_blob(digest) as file:
                return examine(file.fileno(), digest, attend, fresh=True) is not Verdict.DAMAGED
        except (NotFoundError, UnreadableError):
            return False

    def open_aside(self, digest: Digest) -> BinaryIO:
        """The file that was withdrawn, as `open_blob`. Raises NotFoundError, UnreadableError."""
        return _opened(self._aside(digest), digest)

    def put_back(self, digest: Digest) -> None:
        """Give the withdrawn file its name again; durable on return. The caller has read it and holds the gate alone.
        Raises FailedError."""
        path = self._paths.blob(digest)
        try:
            self.files.rename(self._aside(digest), path)
            self.files.sync_folder(path.parent)
        except OSError as error:
            raise explain(error, path) from None

    def aside(self) -> Iterator[Digest]:
        """The blobs whose withdrawn files are kept, in no order. A folder that stood in a blob's place is none of them.
        Raises OSError."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._paths.damaged) as entries:
            for entry in entries:
                algorithm, _, hexadecimal = entry.name.partition("-")
                if not entry.is_dir() and algorithm in ALGORITHMS and is_hex_of(algorithm, hexadecimal):
                    yield Digest(algorithm, hexadecimal)

    def remove_aside(self, digest: Digest) -> None:
        """Remove a withdrawn file for good. Harmless where there is none."""
        self.files.remove(self._aside(digest))

    def _aside(self, digest: Digest) -> Path:
        return self._paths.damaged / f"{digest.algorithm}-{digest.hex}"

    def set_aside(self, digest: Digest) -> None:
        """Move a damaged blob's file to `damaged/`; durable on return. The caller holds the gate alone, so that it is
        still the file that was found damaged. Raises FailedError."""
        path, aside = self._paths.blob(digest), self._paths.damaged
        try:
            self.files.make_folder(aside)
            self.files.rename(path, self._aside(digest))
            self.files.sync_folder(path.parent)
        except OSError as error:
            raise explain(error, path) from None

    def list_blobs(self) -> Iterator[Digest]:
        """Every blob that has a file, as `list_names`."""
        return map(Digest.parse, self.list_names())

    def list_names(self) -> Iterator[str]:
        """Every blob that has a file by its digest's text, in no order, read as the caller goes; left out is a name
        that is no digest, and what is no file. Raises OSError where a folder cannot be read."""
        for algorithm in ALGORITHMS:
            with os.scandir(self._paths.blobs / algorithm) as entries:
                for entry in entries:
                    if is_hex_of(algorithm, entry.name) and entry.is_file(follow_symlinks=False):
                        yield f"{algorithm}:{entry.name}"

    def remove(self, digest: Digest) -> None:
        """Remove the blob's bytes for good. A collection buries them (`Graveyard.bury`)."""
        self.files.remove(self._paths.blob(digest))

    def open_buried(self, digest: Digest) -> tuple[BinaryIO, str]:
        """The newest file of a collected blob, as `open_blob`, and the grave that it lies in (`Graveyard.give_back`).
        Raises NotFoundError, UnreadableError, FailedError."""
        path = self.graveyard.find(digest)
        if path is None:
            raise NotFoundError("no such blob", thing=str(digest))
        return _opened(path, digest), path.parent.name


def _no_room(_: int) -> bool:
    """Nothing can be made free (appliance.making_room gives a station's store what can)."""
    return False


def _opened(path: Path, digest: Digest) -> BinaryIO:
    """What lies there is opened without a wait, and read where it is a file: a pipe in its place gives no bytes and no
    end. Raises NotFoundError, UnreadableError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return os.fdopen(fd, "rb")
        os.close(fd)
        no_file = OSError(errno.EINVAL, _NO_FILE)
    except FileNotFoundError:
        raise NotFoundError("no such blob", thing=str(digest)) from None
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise UnreadableError(digest, error) from None
        no_file = OSError(error.errno, _NO_FILE)  # a link, or a socket
    raise UnreadableError(digest, no_file)
