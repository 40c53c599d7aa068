"""The one writer of a station stands still while its metadata is switched to another database.

Who moves it takes a place in the file of the lease, and the writer looks at that place before each group of writes: a
range lock (fcntl, F_OFD_SETLK), so that a mover which is killed lets go. Behind it the writer compares the note of
where the metadata is with the one that it was opened by: into a database that is the station's no more it writes
nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.store.errors import AWAY
from appliance.store.whereabouts import note_identity
from bundles.errors import FailedError
from bundles.io.files import failures_named, own_as_folder

_FLOCK: Final = struct.Struct("hhqqi4x")
"""struct flock of Linux on 64 bits: type, whence, start, length, pid."""
_MOVER, _WANTED, _BUSY = 1 << 40, (1 << 40) + 1, (1 << 40) + 2
"""Places in the file: of the one move that goes on, of who wants the writes to stop, of the writer's group."""
_LOOK: Final = 0.005
"""Seconds between two looks at a place that another one holds."""


class WriterTurn:
    """The writer's side. It looks at each group: three system calls, some microseconds."""

    def __init__(self, database: Path) -> None:
        """Raises OSError."""
        self._database = database
        self._opened_by = note_identity(database)
        self._descriptor = _open(database)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A group of writes. Raises FailedError where the writes are stopped for long, or the metadata was moved."""
        deadline = time.monotonic() + limits.MOVE_HOLD
        while _holds(self._descriptor, _WANTED) or not _lock(self._descriptor, _BUSY):
            if time.monotonic() > deadline:
                raise FailedError(
                    "the metadata is being moved to another database, and writes wait",
                    remedy="try again in a minute; pulls go on",
                    code=AWAY,
                )
            time.sleep(_LOOK)
        try:
            if note_identity(self._database) != self._opened_by:
                raise FailedError(
                    "the metadata was moved to another database, which the station takes up just now",
                    remedy="try again in some seconds",
                    code=AWAY,
                )
            yield
        finally:
            _lock(self._descriptor, _BUSY, fcntl.F_UNLCK)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class Mover:
    """The mover's side: one at a time for a station."""

    def __init__(self, database: Path) -> None:
        """Raises FailedError where another move goes on."""
        with failures_named(database, "the metadata cannot be moved"):
            self._descriptor = _open(database)
        if not _lock(self._descriptor, _MOVER):
            os.close(self._descriptor)
            raise FailedError(
                "the metadata is being moved already",
                thing=str(database.parent),
                remedy="wait until the other lockgate migrate has ended",
            )

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While the block runs no group of writes begins, and none is under way. Raises FailedError."""
        _lock(self._descriptor, _WANTED)
        try:
            deadline = time.monotonic() + limits.MOVE_HOLD
            while not _lock(self._descriptor, _BUSY):
                if time.monotonic() > deadline:
                    raise FailedError(
                        "a group of writes does not end, and the metadata was not switched",
                        remedy="see whether the disk or the database's server hangs, then run the same command again",
                    )
                time.sleep(_LOOK)
            yield
        finally:
            for place in (_BUSY, _WANTED):
                _lock(self._descriptor, place, fcntl.F_UNLCK)

    def close(self) -> None:
        """Let the next one move."""
        os.close(self._descriptor)


def wait_for_mover(database: Path) -> None:
    """Before a database is opened for writing: wait until no move holds the writes. Raises FailedError."""
    if not StationPaths(database.parent).lease.exists():
        return
    with failures_named(database, "the metadata cannot be opened for writing"):
        descriptor = _open(database)
    try:
        deadline = time.monotonic() + limits.MOVE_HOLD
        while _holds(descriptor, _WANTED):
            if time.monotonic() > deadline:
                raise FailedError(
                    "the metadata is being moved to another database", remedy="wait until lockgate migrate has ended"
                )
            time.sleep(_LOOK)
    finally:
        os.close(descriptor)


def _open(database: Path) -> int:
    """Raises OSError."""
    path = StationPaths(database.parent).lease
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with suppress(OSError):
        own_as_folder(descriptor, database.parent)
    return descriptor


def _lock(descriptor: int, place: int, kind: int = fcntl.F_WRLCK) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _holds(descriptor: int, place: int) -> bool:
    """Whether somebody else holds a place."""
    asked = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0))
    return bool(_FLOCK.unpack(asked)[0] != fcntl.F_UNLCK)
