"""Reading hostile files and writing our own: no links followed, sizes capped, writes atomic and durable."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bundles.errors import FailedError, LockgateError, NoSpaceError, RefusedError, UsageError
from bundles.io.held import HeldPath
from bundles.io.typed_paths import exists, is_file

_NOT_FILES = frozenset({errno.ENXIO, errno.ENODEV})
"""What open(2) fails with for a socket and for a device without a driver."""


def open_regular(path: Path, *, ceiling: int | None = None) -> int:
    """A descriptor of a regular file, opened without following a link and without blocking on a pipe.

    Raises RefusedError for a link, a device, a pipe or a file over `ceiling` bytes; FailedError when it cannot be read.
    """
    try:
        if isinstance(path, HeldPath):
            descriptor = path.open_read()
        else:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise RefusedError("not a regular file", thing=str(path), remedy="links are not followed") from None
        if error.errno in _NOT_FILES:  # a socket, or a device that is not there: neither can be opened at all
            raise RefusedError(
                "not a regular file", thing=str(path), remedy="a bundle holds regular files alone"
            ) from None
        raise os_failure(error, path, "cannot be read") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise RefusedError("not a regular file", thing=str(path), remedy="a bundle holds regular files alone")
    if ceiling is not None and status.st_size > ceiling:
        os.close(descriptor)
        raise RefusedError("the file is too large", thing=str(path), remedy=f"the ceiling is {ceiling} bytes")
    return descriptor


def require_file(path: Path, remedy: str = "check the path") -> None:
    """Raises UsageError where a path that somebody typed is no file: it is not there, or is a folder or a device."""
    if is_file(path):
        return
    if exists(path):
        raise UsageError("not a file", thing=str(path), remedy="give a file")
    raise UsageError("no such file", thing=str(path), remedy=remedy)


def read_small(path: Path, ceiling: int) -> bytes:
    """A small file's bytes, through `open_regular`."""
    with os.fdopen(open_regular(path, ceiling=ceiling), "rb") as file:
        try:
            data = file.read(ceiling + 1)
        except OSError as error:
            raise os_failure(error, path, "cannot be read") from None
    if len(data) > ceiling:
        raise RefusedError("the file is too large", thing=str(path), remedy=f"the ceiling is {ceiling} bytes")
    return data


def write_atomic(path: Path, data: bytes, mode: int = 0o644, *, replace: bool = True, owned: bool = False) -> None:
    """Write, fsync, rename (or link, where nothing may be replaced), fsync the folder. `owned` gives the file to the
    folder's owner (`own_as_folder`).

    Raises FailedError naming the file and what to do.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # What carries our own process id is left from a process that was killed: ids come round again.
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        descriptor = create_new(partial, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if owned:
                    own_as_folder(descriptor, path.parent)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                partial.rename(path)
            else:
                name_once(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        sync_folder(path.parent)
    except FileExistsError:
        what, remedy = "the file exists", "choose another name"
        if path.is_dir():
            what, remedy = "a folder is there", "name a new file in it"
        raise UsageError(what, thing=str(path), remedy=remedy) from None
    except OSError as error:
        raise os_failure(error, path, "cannot be written") from None


def name_once(partial: Path, path: Path) -> None:
    """Give `partial` the name `path`, which nothing may have: FileExistsError where something does."""
    try:
        path.hardlink_to(partial)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # FAT and exFAT have no hard links: an empty file takes the name, and the rename replaces our own file alone.
        os.close(create_new(path, 0o600))
        partial.rename(path)
    else:
        partial.unlink()


def own_as_folder(descriptor: int, folder: Path) -> None:
    """Give an opened file, or folder, to the owner of the folder that it stands in, where root made it there.

    A station's own account must be able to change and revoke what root once wrote for it. The group stays as it is: a
    folder's group may be the one that reaches the station's socket, and is given no file for that. Files with a second
    name stay as they are: that name may stand elsewhere.

    Raises OSError.
    """
    if os.geteuid() != 0:
        return
    owner, status = folder.stat(), os.fstat(descriptor)
    alone = stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
    if alone and status.st_uid != owner.st_uid:
        os.fchown(descriptor, owner.st_uid, -1)


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder where there is none, for the owner of the one above. Raises OSError."""
    folder.mkdir(mode=mode, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        own_as_folder(descriptor, folder.parent)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that renames in it are durable."""
    descriptor = open_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_folder(path: Path) -> int:
    """A descriptor of a folder. Raises OSError."""
    if isinstance(path, HeldPath):
        return path.open_folder()
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def create_new(path: Path, mode: int) -> int:
    """A descriptor of a new file, for writing; never through a link, nor over a name that is there. Raises OSError."""
    if isinstance(path, HeldPath):
        return path.create(mode)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def open_again(path: Path) -> int:
    """A descriptor of a file, to read it and go on writing it; it is made where it is not there. Raises OSError, and
    RefusedError for what is no file of this name alone: what a link leads to is another's."""
    try:
        if isinstance(path, HeldPath):
            descriptor = path.open_again()
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        os.close(create_new(path, 0o644))
        return open_again(path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, *_NOT_FILES):
            raise RefusedError("not a regular file", thing=str(path), remedy="take it away") from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(descriptor)
        raise RefusedError("not a regular file of its own", thing=str(path), remedy="take it away")
    return descriptor


def scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder, as os.scandir gives them; their `path` is the name alone. Raises OSError."""
    descriptor = open_folder(folder)
    try:
        with os.scandir(descriptor) as entries:
            yield from entries
    finally:
        os.close(descriptor)


_REMEDIES = {
    "ENOSPC": "free some space or use a larger medium, then run it again: it goes on where it was",
    "EDQUOT": "free some space, then run it again: it goes on where it was",
    "EROFS": "it is read-only: clear the write-protection, mount it to be written, or give another folder",
    "EIO": "the medium failed or was pulled out: put it back or take another, then run it again",
    "ENODEV": "the medium was pulled out: put it back, then run it again",
    "ENXIO": "the medium was pulled out: put it back, then run it again",
    "ESTALE": "the medium was pulled out: put it back, then run it again",
    "ENOENT": "check the path, and that the medium is mounted",
    "EACCES": "check who owns it and its mode",
    "EPERM": "check who owns it and its mode",
    "ENOTDIR": "give a folder",
    "EISDIR": "give a file",
}


def os_failure(error: OSError, path: Path | str, what: str) -> FailedError:
    """An operating system's error as one line: what, which file, why, what to do. NoSpaceError for a full disk."""
    code = errno.errorcode.get(error.errno or 0, "")
    reason = error.strerror or str(error)
    kind = NoSpaceError if code in ("ENOSPC", "EDQUOT") else FailedError
    return kind(f"{what} ({reason})", thing=str(path), remedy=_REMEDIES.get(code, "check the path and try again"))


@contextlib.contextmanager
def failures_named(path: Path, what: str) -> Iterator[None]:
    """Turn OSErrors inside into `os_failure`."""
    try:
        yield
    except LockgateError:
        raise
    except OSError as error:
        raise os_failure(error, error.filename or path, what) from None
