"""The few file operations that durability rests on, as a port, so that a test can record and cut them.

Order is everything: bytes are synced before the rename that gives them their name, and the folder is synced before
anybody is told. The recording implementation in tests/faults replays every prefix of these calls.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final, Protocol

from bundles.errors import FailedError, NoSpaceError

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskFullError(NoSpaceError):
    """The store found no space; what was being written is gone again."""


class Files(Protocol):
    """What the store does to the file system. Paths are on one file system. Raises OSError."""

    def create(self, path: Path) -> int:
        """A new file for reading and writing; fails where the name is taken. Returns the descriptor."""
        ...

    def reopen(self, path: Path) -> int:
        """An existing regular file for reading and writing; never through a link. Returns the descriptor."""
        ...

    def write(self, fd: int, data: bytes | memoryview) -> None:
        """All of the bytes, at the descriptor's position."""
        ...

    def truncate(self, fd: int, size: int) -> None: ...

    def sync(self, fd: int) -> None:
        """Return once the file's bytes and size are on the medium."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Atomic; replaces `target`. Durable only after `sync_folder`."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Return once the folder's names are on the medium."""
        ...

    def remove(self, path: Path) -> None:
        """Harmless where the name is gone already."""
        ...

    def make_folder(self, path: Path) -> None:
        """With its parents; harmless where it exists."""
        ...


class OsFiles:
    """The operating system's files."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)

    def reopen(self, path: Path) -> int:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "something that is no file is in its place", str(path))
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def sync_folder(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)


def explain(error: OSError, path: Path) -> FailedError:
    """The error a person should read: a full disk by name, anything else with the system's own words."""
    if error.errno in FULL:
        return DiskFullError(
            "the disk is full", thing=str(path), remedy="free space, or move the station to a larger disk"
        )
    return FailedError("the store cannot be written", thing=f"{path} ({error.strerror})", remedy="check the disk")
