"""Acts that touch the same thing are recorded in the order in which they happen.

An act is recorded first and done second, and the processes of a station record side by side. Two acts on one tag could
be recorded in one order and happen in the other, and the audit log would then say that the tag stands where it does
not. So whoever changes a thing takes a turn on it, from before the event until the transaction is durable.

A turn is a range lock (fcntl, F_OFD_SETLK) of some bytes of one file: a killed holder lets go. Its place follows from
the name of the thing, so that two things share a place by chance once in 2**62.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from appliance.limits import store as limits
from appliance.store.files import explain

_ACTS: Final = 1
"""The place that every act of a client shares, and that who changes many things takes alone."""
_NEXT: Final = 2
"""The place that newcomers pass by, and that who waits for all of them holds."""
_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_FIRST: Final = 16
"""Behind it are the places of things."""
_FLOCK: Final = struct.Struct("hhqqi4x")
"""struct flock of Linux on 64 bits: type, whence, start, length, pid."""


class Turns:
    """The turns of one store, by a file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "acts.lock"

    def try_take(self, alone: Iterable[str], shared: Iterable[str] = ()) -> int | None:
        """A descriptor that holds a turn on things until it is closed, or None where somebody else has one of them.
        Never waits. Raises FailedError."""
        descriptor = self._open()
        wanted = [(_NEXT, fcntl.F_RDLCK), (_ACTS, fcntl.F_RDLCK)]
        wanted += [(_place(name), fcntl.F_RDLCK) for name in shared]
        wanted += [(_place(name), fcntl.F_WRLCK) for name in alone]
        if all(self._lock(descriptor, place, kind) for place, kind in wanted):
            self._lock(descriptor, _NEXT, fcntl.F_UNLCK)
            return descriptor
        os.close(descriptor)
        return None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until no client acts and hold newcomers back, for `limits.TURN_WAIT` at most: what people decide does
        not hang on one process that stands still. Raises FailedError."""
        descriptor = None
        for pause in self._tries():
            descriptor = self._try_alone()
            if descriptor is not None:
                break
            await asyncio.sleep(pause)
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @contextmanager
    def alone_blocking(self) -> Iterator[None]:
        """`alone`, for a job."""
        descriptor = None
        for pause in self._tries():
            descriptor = self._try_alone()
            if descriptor is not None:
                break
            time.sleep(pause)
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _tries(self) -> Iterator[float]:
        """Seconds between two tries. Newcomers are let through again every `limits.GATE_WAIT`."""
        end = time.monotonic() + limits.TURN_WAIT
        while time.monotonic() < end:
            descriptor = self._open()
            try:
                if not self._lock(descriptor, _NEXT, fcntl.F_WRLCK):
                    yield limits.TURN_LOOK
                    continue
                let_through = time.monotonic() + limits.GATE_WAIT
                while time.monotonic() < let_through:
                    yield limits.TURN_LOOK
            finally:
                os.close(descriptor)
            yield limits.TURN_LOOK

    def _try_alone(self) -> int | None:
        descriptor = self._open()
        if self._lock(descriptor, _ACTS, fcntl.F_WRLCK):
            return descriptor
        os.close(descriptor)
        return None

    def _open(self) -> int:
        """Raises FailedError. On a full disk that has no such file yet, the gate's file serves: a deletion must not
        need room. Its own locks are of another kind (flock), and do not touch ranges."""
        try:
            return os.open(self._path, _FLAGS | os.O_CREAT, 0o600)
        except OSError as error:
            with suppress(OSError):
                return os.open(self._path.with_name("gate.lock"), _FLAGS)
            raise explain(error, self._path) from None

    def _lock(self, descriptor: int, place: int, kind: int) -> bool:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            os.close(descriptor)
            raise explain(error, self._path) from None
        return True


def _place(name: str) -> int:
    number = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 2
    return max(number, _FIRST)
