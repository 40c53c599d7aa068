"""Folders and files that somebody else opened: used through their descriptors, never through their names.

A `HeldPath` looks like a path, for names and messages. Every operation opens one component after the other, relative to
the folder before, and follows no link (openat(2), O_NOFOLLOW). What would hand its name to the system raises TypeError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PosixPath
from typing import Any, ClassVar, Final, NoReturn, Protocol

from bundles.errors import RefusedError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AGAIN: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Keeper(Protocol):
    """Who handed the folder or file over, and what they may do with it."""

    def open(self) -> int:
        """A descriptor of the folder or file itself; the caller closes it."""
        ...

    def acting(self) -> AbstractContextManager[None]:
        """While it is open, this thread's file operations have that one's rights, where the system allows it."""
        ...

    def check_folder(self, descriptor: int, shown: Path) -> None:
        """Raises RefusedError where that one may not use the folder."""
        ...

    def check_file(self, descriptor: int, shown: Path) -> None:
        """Raises RefusedError where that one may not read the file."""
        ...


class HandedFolder:
    """A folder (or one file) that was handed over; `shown` is its absolute path for people."""

    def __init__(self, shown: str, keeper: Keeper) -> None:
        self.keeper = keeper
        self._root = PosixPath(shown)
        self._folders: dict[tuple[str, ...], int] = {}
        self._turn = threading.RLock()
        self._class = type("HeldPath", (HeldPath,), {"held": self})

    @property
    def path(self) -> HeldPath:
        """The folder or file as a path."""
        made: HeldPath = self._class(self._root)
        return made

    def parts_below(self, path: HeldPath) -> tuple[str, ...]:
        """The names from the root down to `path`. Raises ValueError for one that is not below it."""
        names = path.parts[len(self._root.parts) :]
        if path.parts[: len(self._root.parts)] != self._root.parts or any(_is_strange(name) for name in names):
            raise ValueError(f"{path} is not below {self._root}")
        return names

    def descriptor(self, names: tuple[str, ...]) -> int:
        """The folder at `names` below the root (the root itself may be a file), checked, opened once and kept here.

        Raises OSError, RefusedError.
        """
        with self._turn:
            if names not in self._folders:
                if not names:
                    self._folders[names] = self.keeper.open()
                else:
                    above, shown = self.descriptor(names[:-1]), self._root.joinpath(*names)
                    with self.keeper.acting():
                        opened = os.open(names[-1], _FOLDER, dir_fd=above)
                    try:
                        self.keeper.check_folder(opened, shown)
                    except BaseException:
                        os.close(opened)
                        raise
                    self._folders[names] = opened
            return self._folders[names]

    def forget_below(self, names: tuple[str, ...]) -> None:
        """Close the folder at `names` and those below it that are kept open; they are opened anew when used."""
        with self._turn:
            for kept in [kept for kept in self._folders if kept[: len(names)] == names]:
                os.close(self._folders.pop(kept))

    def let_go(self) -> None:
        """Close everything; what is used afterwards is opened anew."""
        with self._turn:
            while self._folders:
                os.close(self._folders.popitem()[1])


def forget_below(path: Path) -> None:
    """Close what is kept open of a folder that was handed over and of all below it, where `path` is one: of a tree with
    a folder for each file, each would stay open. Nobody else may be using them."""
    if isinstance(path, HeldPath):
        path.held.forget_below(path.held.parts_below(path))


class HeldPath(PosixPath):
    """A path at or below the root of its class's `held`. Links are not followed by any method."""

    held: ClassVar[HandedFolder]

    def __fspath__(self) -> NoReturn:
        raise TypeError(f"{self} was handed over: it is used through bundles.io.held, not by its name")

    def _at(self) -> tuple[str, int]:
        """The last name, and the descriptor of the folder it is in."""
        names = self.held.parts_below(self)
        if not names:
            raise OSError(errno.EBUSY, "it is the folder that was handed over")
        return names[-1], self.held.descriptor(names[:-1])

    @contextlib.contextmanager
    def _acting(self) -> Iterator[None]:
        """With the rights of who handed it over; a system error names the whole path."""
        try:
            with self.held.keeper.acting():
                yield
        except OSError as error:
            error.filename, error.filename2 = str(self), None
            raise

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        with self._acting():
            if not self.held.parts_below(self):
                return os.fstat(self.held.descriptor(()))
            name, above = self._at()
            return os.stat(name, dir_fd=above, follow_symlinks=False)

    def iterdir(self) -> Generator[HeldPath, None, None]:
        descriptor = self.open_folder()
        try:
            with os.scandir(descriptor) as entries:
                names = [entry.name for entry in entries]
        finally:
            os.close(descriptor)
        yield from (self / name for name in names)

    def resolve(self, strict: bool = False) -> HeldPath:
        return self

    def absolute(self) -> HeldPath:
        return self

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        try:
            with self._acting():
                name, above = self._at()
                os.mkdir(name, mode, dir_fd=above)
        except OSError as error:
            if not (exist_ok and error.errno in (errno.EEXIST, errno.EBUSY) and self.is_dir()):
                raise

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            with self._acting():
                name, above = self._at()
                os.unlink(name, dir_fd=above)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rename(self, target: Any) -> HeldPath:
        with self._acting():
            (name, above), (other, there) = self._at(), _below_same(self, target)._at()
            os.rename(name, other, src_dir_fd=above, dst_dir_fd=there)
        return self.__class__(target)

    def hardlink_to(self, target: Any) -> None:
        with self._acting():
            (name, above), (other, there) = self._at(), _below_same(self, target)._at()
            os.link(other, name, src_dir_fd=there, dst_dir_fd=above, follow_symlinks=False)

    def open_read(self) -> int:
        """A descriptor of what is there, for reading, checked. Raises OSError, RefusedError."""
        with self._acting():
            if not self.held.parts_below(self):
                return os.dup(self.held.descriptor(()))
            name, above = self._at()
            # Looked at first: to open a device may already do something.
            if not stat.S_ISREG(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
                raise RefusedError("not a regular file", thing=str(self), remedy="links are not followed")
            opened = os.open(name, _READ, dir_fd=above)
        try:
            self.held.keeper.check_file(opened, self)
        except BaseException:
            os.close(opened)
            raise
        return opened

    def open_folder(self) -> int:
        """A descriptor of the folder, for the caller to close. Raises OSError, RefusedError."""
        with self._acting():
            below = self.held.parts_below(self)
            return os.open(".", _FOLDER, dir_fd=self.held.descriptor(below))

    def create(self, mode: int) -> int:
        """A new file, for writing; fails where the name is taken. Raises OSError."""
        with self._acting():
            name, above = self._at()
            return os.open(name, _CREATE, mode, dir_fd=above)

    def open_again(self) -> int:
        """A regular file that is there, to read it and go on writing it. Raises OSError, RefusedError."""
        with self._acting():
            name, above = self._at()
            return os.open(name, _AGAIN, dir_fd=above)


def _is_strange(name: str) -> bool:
    return name in ("", ".", "..") or "/" in name or "\0" in name


def _below_same(path: HeldPath, other: object) -> HeldPath:
    if not isinstance(other, HeldPath) or other.held is not path.held:
        raise ValueError(f"{other} is not below what {path} is below")
    return other
