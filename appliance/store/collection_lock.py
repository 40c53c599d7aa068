"""Between the moment a blob gets its name and the transaction that links it, nobody collects.

A push gives the bytes their name first and links them second (docs/internals/store.md). In between they look like
garbage. No age tells the two apart, so both sides take a lock: whoever places holds the gate, many at once, for the
one rename and the one write; who collects holds it alone, for one batch. Locks are flock(2): a killed holder lets go.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.store.files import explain
from bundles.ports import Progress

_LOOK: Final = 0.02
"""Seconds between two looks at a lock that others hold."""


class CollectionLock:
    """The gate of one store. Two locks: who collects takes the first to hold newcomers back, the second alone."""

    def __init__(self, paths: StationPaths) -> None:
        self._turn = paths.store / "turn.lock"
        self._gate = paths.store / "gate.lock"

    def try_place(self) -> int | None:
        """A descriptor that holds the gate until it is closed, or None while somebody collects. Never waits.

        Raises FailedError.
        """
        turn = _locked(self._turn, fcntl.LOCK_SH)
        if turn is None:
            return None
        try:
            return _locked(self._gate, fcntl.LOCK_SH)
        finally:
            os.close(turn)

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Wait until nobody places, then hold the gate alone: no push ends meanwhile. Raises FailedError.

        Who places something large may take long: newcomers are let through again after `limits.GATE_WAIT`.
        """
        while True:
            with contextlib.ExitStack() as held:
                for path in (self._turn, self._gate):
                    descriptor = _wait(path, limits.GATE_WAIT)
                    if descriptor is None:
                        break
                    held.callback(os.close, descriptor)
                else:
                    yield
                    return
            time.sleep(limits.GATE_WAIT)


@contextlib.contextmanager
def incoming_turn(paths: StationPaths, progress: Progress, *, collects: bool) -> Iterator[None]:
    """Jobs that bring blobs in run side by side, and none of them beside a batch of garbage collection (`collects`).

    A job may rely on what it found held minutes ago, before anything links it. Waits, and says so through `progress`,
    which raises CancelledError. A collection takes many turns one after another and gives way between them to jobs
    that wait. Raises FailedError.
    """
    held = _turn_to_collect(paths, progress) if collects else _turn_to_bring_in(paths, progress)
    try:
        yield
    finally:
        os.close(held)


@contextlib.contextmanager
def patient_turn(paths: StationPaths, progress: Progress, patience: float) -> Iterator[bool]:
    """A turn to collect for a job that has other things to do: whether it came within `patience` seconds. Raises
    FailedError, and what `progress` raises."""
    deadline = time.monotonic() + patience
    while (held := _try_to_collect(paths)) is None and time.monotonic() < deadline:
        progress("wait for imports and collects", 0, 0)
        time.sleep(10 * _LOOK)
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


def _turn_to_bring_in(paths: StationPaths, progress: Progress) -> int:
    with contextlib.ExitStack() as queued:
        while (descriptor := _locked(paths.incoming_lock, fcntl.LOCK_SH)) is None:
            waiting = _locked(paths.incoming_queue, fcntl.LOCK_SH)
            if waiting is not None:
                queued.callback(os.close, waiting)
                break
            time.sleep(_LOOK)
        while descriptor is None:
            progress("wait for garbage collection", 0, 0)
            time.sleep(_LOOK)
            descriptor = _locked(paths.incoming_lock, fcntl.LOCK_SH)
        return descriptor


def _turn_to_collect(paths: StationPaths, progress: Progress) -> int:
    while (descriptor := _try_to_collect(paths)) is None:
        progress("wait for imports and collects", 0, 0)
        time.sleep(10 * _LOOK)
    return descriptor


def _try_to_collect(paths: StationPaths) -> int | None:
    queue = _locked(paths.incoming_queue, fcntl.LOCK_EX)
    if queue is None:
        return None
    try:
        return _locked(paths.incoming_lock, fcntl.LOCK_EX)
    finally:
        os.close(queue)


def _wait(path: Path, patience: float) -> int | None:
    deadline = time.monotonic() + patience
    while (descriptor := _locked(path, fcntl.LOCK_EX)) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(_LOOK)
    return descriptor


def _locked(path: Path, kind: int) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explain(error, path) from None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
