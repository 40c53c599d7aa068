"""Disk kept for acts that matter: bytes in one file and inodes in a folder of empty ones, given back step by step when
nothing else is left.

A station whose disk is nearly full is read-only: it takes no content in, pulls go on, and what frees space (deletes,
collections) or must never wait (a release, a block, a revocation, a log-in, a start) is recorded and done with what
the reserve gives back. Any process may give back; the control process makes the reserve whole again once there is room,
and the station then takes content again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.limits import store as limits
from bundles.errors import NoSpaceError
from bundles.io.display import some
from bundles.io.files import own_as_folder

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says where no space is left, or a quota is used up."""

_OPEN: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_MB: Final = 10**6
_PIECE: Final = 4096
_EXT4_KEPT: Final = 4096


class ReadOnlyError(NoSpaceError):
    """The station takes no content in, since its disk is nearly full."""


class NoRoomError(NoSpaceError):
    """More content was announced than the disk has room for."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has (statvfs(3)), in bytes and in inodes; `total_inodes` is 0 where it does not count them.

    `usable` is what this process can still write, root's share included where it is root.
    """

    total: int
    free: int
    usable: int
    total_inodes: int
    free_inodes: int

    @classmethod
    def of(cls, folder: Path | str) -> Room:
        """The room of the file system that holds a folder. Raises OSError."""
        seen, usable = os.statvfs(folder), 0
        if os.geteuid() == 0:  # but for what ext4 keeps from root, too: 2 %, 4,096 at most (ext4_set_resv_clusters)
            usable = seen.f_bfree - min(_EXT4_KEPT, seen.f_blocks // 40)
        usable, unit = max(usable, seen.f_bavail), seen.f_frsize
        return cls(seen.f_blocks * unit, seen.f_bavail * unit, usable * unit, seen.f_files, seen.f_ffree)

    @property
    def bytes_kept(self) -> int:
        """The bytes of a whole reserve here."""
        return min(limits.RESERVE, self.total // limits.RESERVE_SHARE[0])

    @property
    def files_kept(self) -> int:
        """The inodes of a whole reserve here."""
        return min(limits.RESERVE_FILES, self.total_inodes // limits.RESERVE_SHARE[1])

    @property
    def for_starts(self) -> tuple[int, int]:
        """Bytes and inodes of the reserve that are for starts alone."""
        return self.bytes_kept // limits.RESERVE_FOR_START, self.files_kept // limits.RESERVE_FOR_START

    @property
    def step(self) -> tuple[int, int]:
        """Bytes and inodes that are given back at a time."""
        least, fewest = limits.RESERVE_STEP
        steps = limits.RESERVE_STEPS
        return max(least, self.bytes_kept // steps), max(fewest, self.files_kept // steps)


class Reserve:
    """The reserve in the file at `path` and the folder `path`.files. Safe for threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.with_name(f"{path.name}.files")
        self._where, self._file, self._files_in = str(path.parent), str(path), str(self.folder)

    def in_want(self) -> bool:
        """Whether some of the reserve was given back, and not yet made again. Three system calls, a few µs."""
        try:
            room = Room.of(self._where)
        except OSError:
            return False
        return self._lacks_bytes(room) or self._lacks_files(room)

    def read_only(self) -> str:
        """Why no content is taken in, as one phrase; "" where it is. As many system calls as `in_want`."""
        try:
            room = Room.of(self._where)
        except OSError:
            return ""
        least = limits.READ_ONLY * room.bytes_kept
        if room.free < least:
            return f"{room.free / _MB:.1f} MB are free, and at least {least / _MB:.1f} MB are needed"
        fewest = limits.READ_ONLY * room.files_kept
        if room.free_inodes < fewest:
            return f"{some(room.free_inodes, 'inode is', 'inodes are')} free, and at least {fewest} are needed"
        if self._lacks_bytes(room) or self._lacks_files(room):
            return f"the disk's reserve is spent, and is made again where {self._wanted(room)} are free"
        return ""

    def require(self, size: int = 0) -> None:
        """Raises ReadOnlyError where no content is taken in, NoRoomError where `size` bytes that were announced would
        not fit before none is: nothing of them is then taken. Where there is room again the reserve is made whole at
        once: whoever has freed some and tries again need not wait for the control process. Blocking, then alone."""
        why = self.read_only()
        if why and self.keep():
            why = self.read_only()
        if why:
            raise ReadOnlyError(
                "the station is read-only, since its disk is nearly full",
                thing=why,
                remedy="free some space, for example with lockgate gc; it then takes content again by itself",
            )
        if size:
            self._require_free(size)

    def _require_free(self, size: int) -> None:
        try:
            room = Room.of(self._where)
        except OSError:
            return
        free = room.free - limits.READ_ONLY * room.bytes_kept
        if size > free:
            raise NoRoomError(
                "the disk has no room for what was announced",
                thing=f"{size / _MB:.1f} MB, and {max(free, 0) / _MB:.1f} MB are free",
                remedy="free some space, for example with lockgate gc, or move the station to a larger disk",
            )

    def keep(self, *, anew: bool = False) -> bool:
        """Make the reserve, or make it whole again, where the disk has the room; whether it is whole. Blocking.

        `anew`: take its bytes also where it looks whole: a copy of the folder may have put a file with holes there.
        """
        try:
            room = Room.of(self._where)
            # One that was never made takes what there is: the station is then read-only from the start.
            spare = limits.RESERVE_ROOM if self.path.exists() and self.folder.exists() else 0
            missing = room.bytes_kept - (self.path.stat().st_size if self.path.exists() else 0)
            if missing > 0 and room.free - missing < spare * room.bytes_kept:
                return False
            lacking = room.files_kept - self._files()
            if lacking > 0 and room.free_inodes - lacking < spare * room.files_kept:
                return False
            if anew or missing > 0 or not self.path.exists():
                self._keep_bytes(room.bytes_kept)
            if lacking > 0:
                self._keep_files(room.files_kept)
        except OSError:
            return False
        return True

    def give_back(self) -> bool:
        """Free a step of the reserve, bytes and inodes; False where nothing of either is left for acts."""
        try:
            room = Room.of(self._where)
        except OSError:
            return False
        step, files = room.step
        least, fewest = room.for_starts
        freed = self._free_bytes(step, least)
        return self._free_files(files, fewest) or freed

    def make_room(self, steps: int = 1, *, starts: bool = False) -> None:
        """Give back until so many steps are free for an act that is about to be done, and no more than that: an act is
        then not caught in its middle, and nothing is taken back while it may be under way. `starts`: a station starts,
        so all of it may go. One statvfs where there is room. Blocking."""
        with contextlib.suppress(OSError):
            for turn in range(steps):
                room = Room.of(self._where)
                step, files = room.step
                least, fewest = (0, 0) if starts else room.for_starts
                short = room.usable < steps * step * 3 // 4  # a step frees whole blocks alone
                few = bool(room.total_inodes) and room.free_inodes < steps * files
                if not (starts or turn) and (short or few or self._lacks_bytes(room) or self._lacks_files(room)):
                    self._note_act()
                freed = short and self._free_bytes(step, least)
                if not (few and self._free_files(files, fewest)) and not freed:
                    return

    def take_back(self, starting: Callable[[], bool] = lambda: False) -> None:
        """Take again what was given back and nobody used, before anything else takes it; all but a step, so that the
        station stays read-only until there is room for the whole (`keep`), and but for what a few writes need. Nothing
        where an act asked for room just now, or processes are `starting`: they have yet to use it. Blocking."""
        with contextlib.suppress(OSError):
            room = Room.of(self._where)
            step, files = room.step
            least, fewest = room.for_starts
            size, count = self.kept()
            if self._lacks_bytes(room):
                self._grow(room.bytes_kept - step, room.free - _spare(step, least, size + room.free), starting)
            if self._lacks_files(room):
                few = _spare(files, fewest, count + room.free_inodes)
                self._grow_files(room.files_kept - files, room.free_inodes - few, starting)

    def kept(self) -> tuple[int, int]:
        """Bytes and inodes that are kept now."""
        try:
            return self.path.stat().st_size, self._files()
        except OSError:
            return 0, 0

    def _wanted(self, room: Room) -> str:
        size, files = self.kept()
        wanted = (limits.RESERVE_ROOM + 1) * room.bytes_kept - size
        if size >= room.bytes_kept:
            return f"{(limits.RESERVE_ROOM + 1) * room.files_kept - files} inodes"
        return f"{wanted / _MB:.1f} MB"

    def _lacks_bytes(self, room: Room) -> bool:
        try:
            return os.stat(self._file).st_size < room.bytes_kept  # noqa: PTH116  a push asks for each of its chunks
        except OSError:
            return False  # not made yet

    def _lacks_files(self, room: Room) -> bool:
        if not room.files_kept:
            return False
        try:
            os.stat(f"{self._files_in}/{_name(room.files_kept - 1)}")  # noqa: PTH116
        except OSError:
            return self.folder.exists()
        return False

    def _files(self) -> int:
        """How many empty files are kept: they go from the last one on."""
        try:
            return len(os.listdir(self.folder))  # noqa: PTH208  the names alone
        except OSError:
            return 0

    def _note_act(self) -> None:
        """An act asks for room now: the file's time of access says so to every process. What else is done with the file
        leaves that time alone, since nobody reads it."""
        os.utime(self._file, (time.time(), os.stat(self._file).st_mtime))  # noqa: PTH116

    def _is_quiet(self, descriptor: int, starting: Callable[[], bool]) -> bool:
        """Whether what is free is nobody's, asked under the lock. A clock that was set back counts as long ago."""
        return abs(time.time() - os.fstat(descriptor).st_atime) >= limits.RESERVE_LOOK and not starting()

    def _grow(self, most: int, free: int, starting: Callable[[], bool]) -> None:
        """Take up to `free` bytes more, up to `most` in all, in whole pieces."""
        with self._held() as descriptor:
            size = os.fstat(descriptor).st_size
            more = min(most - size, free) // _PIECE * _PIECE
            if more > 0 and self._is_quiet(descriptor, starting):
                try:
                    os.posix_fallocate(descriptor, size, more)
                    os.fsync(descriptor)
                except OSError:
                    os.ftruncate(descriptor, size)

    def _grow_files(self, most: int, free: int, starting: Callable[[], bool]) -> None:
        """The same for inodes."""
        with self._held() as descriptor:
            if not self._is_quiet(descriptor, starting):
                return
            count = len(os.listdir(self.folder))  # noqa: PTH208  the names alone
            for number in range(count, min(most, count + free)):
                os.close(os.open(self.folder / _name(number), _OPEN | os.O_CREAT, 0o600))

    def _keep_bytes(self, size: int) -> None:
        """A first one gets its name once it is whole: a part of it would say that it is spent."""
        new = not self.path.exists()
        with self._held(os.O_CREAT, self._part(self.path) if new else self.path) as descriptor:
            try:
                os.posix_fallocate(descriptor, 0, size)
                os.fsync(descriptor)
            except OSError:
                if new:  # what it took of a disk without room for it
                    os.ftruncate(descriptor, 0)
                raise
            if new:
                os.utime(descriptor, (0, time.time()))  # no act has asked yet (`_note_act`)
                self._part(self.path).rename(self.path)

    def _keep_files(self, count: int) -> None:
        """As `_keep_bytes`."""
        new = not self.folder.exists()
        place = self._part(self.folder) if new else self.folder
        with self._held(os.O_CREAT):
            place.mkdir(mode=0o700, exist_ok=True)
            folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                own_as_folder(folder, self.path.parent)
                for number in range(count):
                    os.close(os.open(_name(number), _OPEN | os.O_CREAT, 0o600, dir_fd=folder))
            finally:
                os.close(folder)
            if new:
                place.rename(self.folder)

    @staticmethod
    def _part(path: Path) -> Path:
        return path.with_name(f"{path.name}.part")

    def _free_bytes(self, step: int, least: int) -> bool:
        """Free a step, down to `least` bytes."""
        try:
            with self._held() as descriptor:
                size = os.fstat(descriptor).st_size
                if size <= least:
                    return False
                os.ftruncate(descriptor, max(least, size - step))
                os.fsync(descriptor)
        except OSError:
            return False
        return True

    def _free_files(self, count: int, fewest: int) -> bool:
        """Remove the last ones, down to `fewest`, under the lock of the file: two processes free two steps."""
        try:
            with self._held():
                names = sorted(os.listdir(self.folder))[fewest:][-count:]  # noqa: PTH208  the names alone
                for name in names:
                    (self.folder / name).unlink()
                return bool(names)
        except OSError:
            return False

    @contextlib.contextmanager
    def _held(self, more: int = 0, path: Path | None = None) -> Iterator[int]:
        descriptor = os.open(path or self.path, _OPEN | more, 0o600)
        try:
            own_as_folder(descriptor, self.path.parent)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def _spare(step: int, for_starts: int, in_all: int) -> int:
    """What is left free of what could be taken back: a little, and a whole step where acts could then take none of the
    reserve, since what a start gave back is all that frees the station."""
    little = step // limits.RESERVE_SPARE
    return little if in_all - little >= for_starts + step else step


def _name(number: int) -> str:
    return f"{number:04}"
