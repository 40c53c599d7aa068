"""Disks that fail as real ones do: one that fills up, and one whose power is cut.

`FillingDisk` is the operating system's files until a given operation, which finds no space. `RecordingDisk` keeps
what a store did to its files, and gives every state that a power cut could leave: what was synced is there, what was
not is there, half there, or not, in any combination.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from appliance.store.files import OsFiles
from tests.peer_tools import cannot


@contextlib.contextmanager
def mounted(folder: Path, kind: str, size: int, inodes: int | None = None) -> Iterator[Path]:
    """A real file system of `size` bytes at `folder`, which is made: a tmpfs, or an ext4 on a loop device beside it.

    Skips the test where this account may not mount; fails it where LOCKGATE_REQUIRE_PEERS=1.
    """
    folder.mkdir()
    if kind == "tmpfs":
        options = f"size={size}" + (f",nr_inodes={inodes}" if inodes else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    else:
        picture = folder.with_name(f"{folder.name}.img")
        with picture.open("wb") as file:
            file.truncate(size)
        count = ["-N", str(inodes)] if inodes else []
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *count, picture], check=True)
        command = ["mount", "-o", "loop", picture, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        cannot(f"needs to mount a {kind}: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill_bytes(folder: Path) -> Path:
    """Take every free byte of the file system; what holds them."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return ballast


def fill_inodes(folder: Path) -> Path:
    """Take every free inode of the file system; the folder that holds them. `fill_bytes` can follow."""
    ballast = folder / "ballast.files"
    with contextlib.suppress(OSError):
        (folder / "ballast").touch()
        ballast.mkdir(exist_ok=True)
        for number in range(len(list(ballast.iterdir())), 10_000_000):
            (ballast / f"{number}").touch(exist_ok=False)
    return ballast


class FillingDisk(OsFiles):
    """Space for `operations` more creations, writes and renames, then none until `room` is made; `code` is what the
    system says then."""

    def __init__(self, operations: int = 1_000_000, code: int = errno.ENOSPC) -> None:
        self.left, self.code = operations, code
        self.refused = 0

    def room(self) -> None:
        self.left = 1_000_000

    def _take(self, path: object) -> None:
        self.left -= 1
        if self.left < 0:
            self.refused += 1
            raise OSError(self.code, os.strerror(self.code), str(path))

    def create(self, path: Path) -> int:
        self._take(path)
        return super().create(path)

    def write(self, fd: int, data: bytes | memoryview) -> None:
        try:
            self._take(fd)
        except OSError:
            super().write(fd, memoryview(data)[: len(data) // 2])  # the last block that fits
            raise
        super().write(fd, data)

    def sync(self, fd: int) -> None:
        self._take(fd)
        super().sync(fd)

    def rename(self, source: Path, target: Path) -> None:
        self._take(target)
        super().rename(source, target)


@dataclass
class Inode:
    """A file's bytes: what is on the medium for sure, and the writes since."""

    durable: bytes = b""
    current: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """A name that appeared, moved or went, not yet synced."""

    kind: Literal["create", "rename", "remove"]
    source: str
    target: str
    inode: int
    folders: frozenset[str]


@dataclass(frozen=True)
class Wreck:
    """What a power cut left: bytes by path below the root."""

    files: dict[str, bytes]

    def write_to(self, root: Path) -> None:
        for path, body in self.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(body)


class RecordingDisk(OsFiles):
    """The operating system's files below `root`, and a model of what would survive at this moment."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._inodes: dict[int, Inode] = {}
        self._opened: dict[int, int] = {}
        self._names: dict[str, int] = {}
        self._durable_names: dict[str, int] = {}
        self._changes: list[Change] = []
        self.watch: Callable[[], None] = lambda: None
        """Called after every operation: the moments at which the power may go."""

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))

    def _changed(self, kind: Literal["create", "rename", "remove"], source: Path, target: Path, inode: int) -> None:
        folders = frozenset({self._name(source.parent), self._name(target.parent)})
        self._changes.append(Change(kind, self._name(source), self._name(target), inode, folders))

    def create(self, path: Path) -> int:
        fd = super().create(path)
        inode = len(self._inodes) + 1
        self._inodes[inode] = Inode()
        self._opened[fd] = self._names[self._name(path)] = inode
        self._changed("create", path, path, inode)
        self.watch()
        return fd

    def reopen(self, path: Path) -> int:
        fd = super().reopen(path)
        self._opened[fd] = self._names[self._name(path)]
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> None:
        position = os.lseek(fd, 0, os.SEEK_CUR)
        super().write(fd, data)
        inode = self._inodes[self._opened[fd]]
        inode.pending.append((position, bytes(data)))
        _put(inode.current, position, bytes(data))
        self.watch()

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        inode = self._inodes[self._opened[fd]]
        del inode.current[size:]
        inode.pending.append((size, b""))
        self.watch()

    def sync(self, fd: int) -> None:
        super().sync(fd)
        inode = self._inodes[self._opened[fd]]
        inode.durable, inode.pending = bytes(inode.current), []
        self.watch()

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        inode = self._names.pop(self._name(source))
        self._names[self._name(target)] = inode
        self._changed("rename", source, target, inode)
        self.watch()

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        name = self._name(path)
        durable = {change.inode for change in self._changes if name in change.folders}
        for change in self._changes:  # a journal commits what came before on the same file, too
            if change.inode in durable:
                _apply(self._durable_names, change)
        self._changes = [change for change in self._changes if change.inode not in durable]
        self.watch()

    def remove(self, path: Path) -> None:
        super().remove(path)
        inode = self._names.pop(self._name(path), None)
        if inode is not None:
            self._changed("remove", path, path, inode)
            self.watch()

    def wrecks(self, dice: random.Random, count: int) -> Iterator[Wreck]:
        """States that a power cut now could leave: nothing unsynced, everything, and `count` between."""
        yield self._wreck([], lambda: False, dice)
        yield self._wreck(self._changes, lambda: True, dice)
        for _ in range(count):
            survived = [change for change in self._changes if dice.random() < 0.5]
            yield self._wreck(survived, lambda: dice.random() < 0.5, dice)

    def _wreck(self, survived: list[Change], keeps: Callable[[], bool], dice: random.Random) -> Wreck:
        names = dict(self._durable_names)
        for change in survived:
            _apply(names, change)
        return Wreck({name: self._bytes(self._inodes[inode], keeps, dice) for name, inode in names.items()})

    def _bytes(self, inode: Inode, keeps: Callable[[], bool], dice: random.Random) -> bytes:
        body = bytearray(inode.durable)
        for position, data in inode.pending:
            if not data:
                del body[position:]
            elif keeps():
                torn = data if dice.random() < 0.5 else data[: dice.randrange(len(data) + 1)]
                _put(body, position, torn)
            else:
                _put(body, position, b"\0" * len(data))  # blocks given to the file, never written
        return bytes(body)


def _put(body: bytearray, position: int, data: bytes) -> None:
    body.extend(b"\0" * (position - len(body)))
    body[position : position + len(data)] = data


def _apply(names: dict[str, int], change: Change) -> None:
    if change.kind != "create":
        names.pop(change.source, None)
    if change.kind != "remove":
        names[change.target] = change.inode
