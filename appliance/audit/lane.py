"""A lane of the audit log: the file one process appends to, chained event by event (bundles.documents.audit_log).

A process takes the first lane that nobody holds and keeps it while it lives, so that there are as many lanes as
processes ever wrote at once, and no process waits for another. Threads share the lane and its fsync: who comes while
one runs is written by the next, all at once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.seals import SealedState
from appliance.limits import audit as limits
from bundles import limits as bundle_limits
from bundles.documents.audit_findings import GENESIS
from bundles.documents.audit_log import LANES, hash_of, line_of, segment_name, segments
from bundles.documents.audit_seal import read_sealed, seal
from bundles.errors import FailedError, LockgateError
from bundles.io.files import failures_named, make_folder, open_regular, own_as_folder, sync_folder

_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = 64 * 1024
_BLOCK: Final = 256 * 1024
REPAIRED: Final = Act.AUDIT_REPAIR
"""The act that says what a power cut left of an event whose writer had not been told that it was kept."""

_NOT_OURS: Final = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})
"""What the system says of a link, a folder or a socket in a file's place."""

_open: weakref.WeakValueDictionary[tuple[int, str], Lane] = weakref.WeakValueDictionary()
_opening: Final = threading.Lock()


_left: Final[dict[tuple[int, str], dict[int, dict[str, Any]]]] = {}
"""Lanes that a process does not write any more, since somebody else changed them, and what is still to be said of that:
where the process had left each."""


class NotOursError(FailedError):
    """A lane holds what the station did not write, or lacks what it wrote: it is left as it is, for another."""


def lane_of(folder: Path, standing: SealedState) -> Lane:
    """This process's lane of the log in `folder`; opened when it is first asked for. Raises FailedError."""
    key = (os.getpid(), str(folder.resolve()))
    with _opening:
        lane = _open.get(key)
        if lane is None or lane.broken:
            left = _left.setdefault(key, {})
            lane = _open[key] = Lane(folder, standing, left)
            for number, detail in left.items():
                if detail:
                    lane.append(_foreign(number, detail))
                    left[number] = {}
        return lane


def leave(folder: Path, numbers: Iterable[int]) -> None:
    """Let this process write another lane from its next event on, where it writes one of these."""
    with _opening:
        lane = _open.get((os.getpid(), str(folder.resolve())))
        if lane is not None and lane.number in numbers:
            lane.leave()


def _foreign(number: int, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The event about a lane that was changed by somebody else; `detail` says where this process had left it."""
    return {"act": str(Act.AUDIT_FOREIGN), "actor": "station", "thing": f"lane {number:02}", "outcome": "done",
            "detail": detail}  # fmt: skip


class Lane:
    """An opened lane, locked against other processes until this object goes.

    It is one whose last event the station wrote: where a log is sealed, lanes that end otherwise are passed over, and
    an event says so.
    """

    def __init__(self, folder: Path, standing: SealedState, left: dict[int, dict[str, Any]]) -> None:
        self._folder = folder
        self._left = left
        self._lanes = folder / LANES
        self._standing = standing
        self.broken = self.is_left = False
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        foreign: list[int] = []
        with failures_named(self._lanes, "the audit log cannot be written"):
            new = not self._lanes.is_dir()
            make_folder(self._lanes)
            if new:
                sync_folder(folder)
            torn = self._take(set(left) | set(standing.refused), foreign)
        self._synced = self._seq
        if torn:
            self.append({"act": str(REPAIRED), "actor": "station", "thing": f"lane {self.number:02}", "outcome": "done",
                         "detail": {"bytes": len(torn), "cut_off": torn[:400].decode(errors="replace")}})  # fmt: skip
        for number in foreign:
            self.append(_foreign(number, {}))

    def _take(self, left: set[int], foreign: list[int]) -> bytes:
        """Take the first lane that nobody holds. Returns what a power cut left behind its last event."""
        for number in range(1, limits.AUDIT_LANES + 1):
            lock = None if number in left else self._lock(number)
            if lock is None:
                continue
            self.number = number
            with contextlib.ExitStack() as unless_taken:
                unless_taken.callback(os.close, lock)
                try:
                    self._file = _File(self._last())
                    unless_taken.callback(self._file.close)
                    self._seq, self._head, self._micros, torn = self._tail()
                except NotOursError:
                    if not self._standing.sealed:
                        raise
                    foreign.append(number)
                    continue
                unless_taken.pop_all()
            weakref.finalize(self, os.close, lock)
            weakref.finalize(self, _File.close, self._file)
            return torn
        raise FailedError("too many processes write the audit log", thing=str(self._lanes), remedy="end some of them")

    def _lock(self, number: int) -> int | None:
        """The lane's lock, taken; None where another process holds it, or where it is no file."""
        try:
            descriptor = os.open(
                self._lanes / f"{number:02}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            if error.errno in _NOT_OURS:
                return None
            raise
        try:
            own_as_folder(descriptor, self._lanes)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _last(self) -> Path:
        mine = [segment for segment in segments(self._folder) if segment.lane == self.number]
        self._segment = mine[-1].number if mine else 1
        return self._lanes / segment_name(self.number, self._segment)

    def _tail(self) -> tuple[int, str, int, bytes]:
        """The lane's last event (number, hash, micros), and what lies behind it: bytes of a write that never ended,
        which are cut off."""
        size = os.fstat(self._file.descriptor).st_size
        raw, at = _end_of(self._file.descriptor, self._file.path)
        whole, _, torn = raw.rpartition(b"\n")
        if not whole and at > 0:
            raise _damaged(self._file.path)
        found = self._read(whole, self._file.path) if whole else self._before()
        if torn:
            os.ftruncate(self._file.descriptor, size - len(torn))
            self._file.size = size - len(torn)
        return (*found, torn)

    def _before(self) -> tuple[int, str, int]:
        """Where the lane stands whose newest segment holds no event yet: a rotation was cut off before its first."""
        if self._segment == 1:
            return 0, GENESIS, 0
        path = self._lanes / segment_name(self.number, self._segment - 1)
        try:
            with os.fdopen(open_regular(path), "rb") as file:
                raw, _ = _end_of(file.fileno(), path)
        except LockgateError:
            raise _damaged(path) from None
        whole, _, _ = raw.rpartition(b"\n")
        return self._read(whole, path)

    def _read(self, whole: bytes, path: Path) -> tuple[int, str, int]:
        """The last of some whole lines (without the last newline). Raises NotOursError where it is not the station's
        own event."""
        line = whole.rpartition(b"\n")[2] + b"\n"
        seq, head, micros = _read_event(line, path)
        if self._standing.must_have_mac(self.number, seq):
            sealed = read_sealed(line)
            if sealed is None or sealed.lane != self.number or not self._standing.seals.hold(sealed):
                raise _damaged(path)
        return seq, head, micros

    def leave(self) -> None:
        """Write nothing more: somebody else changed the lane."""
        self.broken = self.is_left = True
        self._left[self.number] = {"seq": self._seq, "head": self._head}

    def append(self, fields: Mapping[str, Any]) -> None:
        """Add an event; durable on return. Raises FailedError, and then the act must not happen."""
        with failures_named(self._file.path, "the audit log cannot be written"):
            with self._writing:
                if not self._file.is_as_left():
                    self.leave()
                    raise _damaged(self._file.path)
                micros = clock.micros()
                if self._micros - micros > bundle_limits.AUDIT_TIME_BACK:
                    # Said where it is noticed: `audit verify` takes no other reason for time that goes back.
                    self._put({"act": str(Act.CLOCK_SET_BACK), "actor": "station", "thing": f"lane {self.number:02}",
                               "outcome": "done", "detail": {"from": self._micros, "to": micros}}, micros)  # fmt: skip
                self._put(fields, micros)
                mine = self._seq
            with self._syncing:
                if self._synced < mine:
                    written = self._seq
                    self._sync()
                    self._synced = written

    def _put(self, fields: Mapping[str, Any], micros: int) -> None:
        line = seal(line_of(
            {**fields, "time": clock.now(), "micros": micros, "pid": os.getpid(), "lane": self.number,
             "seq": self._seq + 1, "prev": self._head}
        ), self._standing.seals.keys[0])  # fmt: skip
        self._rotate(len(line))
        self._write(line)
        self._seq, self._head, self._micros = self._seq + 1, hash_of(line), micros

    def _rotate(self, coming: int) -> None:
        if self._file.size + coming <= limits.AUDIT_SEGMENT or not self._file.size:
            return
        with self._syncing:
            self._sync()
            self._synced = self._seq
            self._file.reopen(self._lanes / segment_name(self.number, self._segment + 1))
            self._segment += 1
            sync_folder(self._lanes)

    def _write(self, line: bytes) -> None:
        before = self._file.size
        try:
            view = memoryview(line)
            while view:  # a second write says why the first was short: what fitted must not stand as an event
                view = view[os.write(self._file.descriptor, view) :]
            self._file.size += len(line)
        except OSError:
            self.broken = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.descriptor, before)
            raise

    def _sync(self) -> None:
        try:
            os.fsync(self._file.descriptor)
        except OSError:
            self.broken = True
            raise


class _File:
    """The segment being written."""

    def __init__(self, path: Path) -> None:
        self.path, self.size, self.descriptor = path, 0, -1
        self.reopen(path)
        sync_folder(path.parent)

    def reopen(self, path: Path) -> None:
        """Go on with another file."""
        try:
            descriptor = os.open(path, _APPEND, 0o600)
        except OSError as error:
            if error.errno in _NOT_OURS:
                raise _damaged(path) from None
            raise
        own_as_folder(descriptor, path.parent)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise _damaged(path)
        self.close()
        self.path, self.descriptor, self.size = path, descriptor, status.st_size
        self._place = (status.st_dev, status.st_ino)

    def is_as_left(self) -> bool:
        """Whether the file is the one that this process opened, and as long as it left it. A stat, about a µs."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino, status.st_size) == (*self._place, self.size)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def last_event(path: Path) -> tuple[int, str]:
    """The number and hash of a segment's last whole event; 0 where it holds none. Raises FailedError, RefusedError."""
    with os.fdopen(open_regular(path, ceiling=bundle_limits.AUDIT_SEGMENT), "rb") as file:
        raw, _ = _end_of(file.fileno(), path)
    whole, _, _ = raw.rpartition(b"\n")
    return _read_event(whole.rpartition(b"\n")[2] + b"\n", path)[:2] if whole else (0, GENESIS)


def lines_backwards(path: Path, *, ceiling: int | None = None) -> Iterator[bytes]:
    """A file's whole lines from its end, without newlines; a last one that is being written is left out.

    Of a line that is longer than any of the station's, and of an empty one, b"?" is given. Raises RefusedError for what
    is no regular file, or is over `ceiling` bytes.
    """
    descriptor = open_regular(path, ceiling=ceiling)
    with os.fdopen(descriptor, "rb") as file, failures_named(path, "the audit log cannot be read"):
        at = file.seek(0, os.SEEK_END)
        rest: list[bytes] = []
        length = 0
        whole = False
        while at > 0:
            step = min(_BLOCK, at)
            at -= step
            file.seek(at)
            first, *lines = (file.read(step)).split(b"\n")
            if lines:
                last = lines.pop()
                if whole:
                    yield _joined(last, rest, length)
                yield from (line or b"?" for line in reversed(lines))
                rest, length, whole = [first], len(first), True
            else:
                length += len(first)
                rest = [] if length > bundle_limits.AUDIT_LINE else [*rest, first]
        if whole:
            yield _joined(b"", rest, length)


def _joined(last: bytes, rest: list[bytes], length: int) -> bytes:
    if len(last) + length > bundle_limits.AUDIT_LINE:
        return b"?"
    return last + b"".join(reversed(rest)) or b"?"


def _end_of(descriptor: int, path: Path) -> tuple[bytes, int]:
    """A segment's end, back to the newline before its last whole line, and where that begins in the file."""
    parts: list[bytes] = []
    at, newlines, length = os.fstat(descriptor).st_size, 0, 0
    while at > 0 and newlines < 2:
        step = min(_READ, at)
        at -= step
        parts.append(os.pread(descriptor, step, at))
        newlines += parts[-1].count(b"\n")
        length += step
        if length > 2 * bundle_limits.AUDIT_LINE + _READ:
            raise _damaged(path)
    return b"".join(reversed(parts)), at


def _damaged(path: Path) -> NotOursError:
    return NotOursError(
        "the audit log is damaged", thing=str(path), remedy="see: lockgate audit verify; nothing is done until then"
    )


def _read_event(line: bytes, path: Path) -> tuple[int, str, int]:
    try:
        fields = json.loads(line)
        return int(fields["seq"]), hash_of(line), int(fields["micros"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged(path) from None
