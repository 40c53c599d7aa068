"""A lane of the audit log: the file one process appends to, chained event by event (bundles.audit_log).

A process takes the first lane that nobody holds and keeps it while it lives, so that there are as many lanes as
processes ever wrote at once, and no process waits for another. Threads share the lane and its fsync: who comes while
one runs is written by the next, all at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from appliance import clock, limits
from appliance.observe.acts import Act
from bundles import limits as bundle_limits
from bundles.audit_found import GENESIS
from bundles.audit_log import LANES, hash_of, line_of, segment_name, segments
from bundles.errors import FailedError
from bundles.files import failures_named, make_folder, own_as_folder, sync_folder

_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = 64 * 1024
_BLOCK: Final = 256 * 1024
REPAIRED: Final = Act.AUDIT_REPAIR
"""The act that says what a power cut left of an event whose writer had not been told that it was kept."""

_open: weakref.WeakValueDictionary[tuple[int, str], Lane] = weakref.WeakValueDictionary()
_opening: Final = threading.Lock()


def lane_of(folder: Path) -> Lane:
    """This process's lane of the log in `folder`; opened when it is first asked for. Raises FailedError."""
    key = (os.getpid(), str(folder.resolve()))
    with _opening:
        lane = _open.get(key)
        if lane is None or lane.broken:
            lane = _open[key] = Lane(folder)
        return lane


class Lane:
    """An opened lane, locked against other processes until this object goes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lanes = folder / LANES
        self.broken = False
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        with failures_named(self._lanes, "the audit log cannot be written"):
            new = not self._lanes.is_dir()
            make_folder(self._lanes)
            if new:
                sync_folder(folder)
            self.number, lock = self._take()
            weakref.finalize(self, os.close, lock)
            self._file = _File(self._last())
            weakref.finalize(self, _File.close, self._file)
            self._seq, self._head, self._micros, torn = self._tail()
        self._synced = self._seq
        if torn:
            self.append({"act": str(REPAIRED), "actor": "station", "thing": f"lane {self.number:02}", "outcome": "done",
                         "detail": {"bytes": len(torn), "cut_off": torn[:400].decode(errors="replace")}})  # fmt: skip

    def _take(self) -> tuple[int, int]:
        for number in range(1, limits.AUDIT_LANES + 1):
            path = self._lanes / f"{number:02}.lock"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                own_as_folder(descriptor, self._lanes)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return number, descriptor
            except BlockingIOError:
                os.close(descriptor)
        raise FailedError("too many processes write the audit log", thing=str(self._lanes), remedy="end some of them")

    def _last(self) -> Path:
        mine = [segment for segment in segments(self._folder) if segment.lane == self.number]
        self._segment = mine[-1].number if mine else 1
        return self._lanes / segment_name(self.number, self._segment)

    def _tail(self) -> tuple[int, str, int, bytes]:
        """The lane's last event (number, hash, micros), and what lies behind it: bytes of a write that never ended,
        which are cut off."""
        size = os.fstat(self._file.descriptor).st_size
        raw, at = b"", size
        while at > 0 and raw.count(b"\n") < 2:
            step = min(_READ, at)
            at -= step
            raw = os.pread(self._file.descriptor, step, at) + raw
        whole, _, torn = raw.rpartition(b"\n")
        if torn:
            os.ftruncate(self._file.descriptor, size - len(torn))
        if not whole:
            if self._segment > 1:  # a rotation was cut off before the new segment's first event
                return (*_last(self._lanes / segment_name(self.number, self._segment - 1)), torn)
            return 0, GENESIS, 0, torn
        return (*_read_event(whole.rpartition(b"\n")[2] + b"\n", self._file.path), torn)

    def append(self, fields: Mapping[str, Any]) -> None:
        """Add an event; durable on return. Raises FailedError, and then the act must not happen."""
        with failures_named(self._file.path, "the audit log cannot be written"):
            with self._writing:
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
        line = line_of(
            {**fields, "time": clock.now(), "micros": micros, "pid": os.getpid(), "lane": self.number,
             "seq": self._seq + 1, "prev": self._head}
        )  # fmt: skip
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
        descriptor = os.open(path, _APPEND, 0o600)
        own_as_folder(descriptor, path.parent)
        self.close()
        self.path, self.descriptor, self.size = path, descriptor, os.fstat(descriptor).st_size

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def last_event(path: Path) -> tuple[int, str]:
    """The number and hash of a segment's last whole event, which is on the disk when this returns."""
    seq, head, _ = _last(path)
    return seq, head


def lines_backwards(path: Path) -> Iterator[bytes]:
    """A file's whole lines from its end; a last one without a newline is being written, and is left out."""
    with failures_named(path, "the audit log cannot be read"), path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        rest: list[bytes] = []
        whole = False
        while at > 0:
            step = min(_BLOCK, at)
            at -= step
            file.seek(at)
            first, *lines = (file.read(step)).split(b"\n")
            if lines:
                last = lines.pop() + b"".join(reversed(rest))
                if whole and last:
                    yield last
                yield from reversed([line for line in lines if line])
                rest, whole = [first], True
            else:
                rest.append(first)
        if whole and (line := b"".join(reversed(rest))):
            yield line


def _last(path: Path) -> tuple[int, str, int]:
    """`last_event`, with its micros."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        size = file.seek(0, os.SEEK_END)
        raw, at = b"", size
        while at > 0 and raw.count(b"\n") < 2:
            step = min(_READ, at)
            at -= step
            file.seek(at)
            raw = file.read(step) + raw
    whole, _, _ = raw.rpartition(b"\n")
    return _read_event(whole.rpartition(b"\n")[2] + b"\n", path) if whole else (0, GENESIS, 0)


def _read_event(line: bytes, path: Path) -> tuple[int, str, int]:
    try:
        fields = json.loads(line)
        return int(fields["seq"]), hash_of(line), int(fields["micros"])
    except (ValueError, KeyError, TypeError):
        raise FailedError(
            "the audit log is damaged", thing=str(path), remedy="see: lockgate audit verify; nothing is done until then"
        ) from None
