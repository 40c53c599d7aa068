"""A fuzzer of our own: inputs are mutated, and those that reach a line no other reached are mutated further.

It is guided by coverage of the parser's own modules (sys.settrace on lines), so that it grows a corpus; a finding is
any exception but the parser's own refusal, or a parser that says something of the input that the input is not.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

Target = Callable[[bytes], None]
"""Reads bytes; returns where it took or refused them as it should, raises anything else for a finding."""

EACH = 2.0
"""Processor seconds for one input. The slowest honest one takes some milliseconds, traced ten times as much; what takes
two seconds for the few kilobytes that are mutated here is a way to stop a station."""

_SPLICES = (
    b"\0", b"\xff", b"\x30\x80", b"\x02\x00", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\n", b"\r\n", b"  ",
    b'"', b"{}", b"[", b"]", b",", b":", b"null", b"-0", b"1e9", b"9007199254740992", b"\\u0000", b"\xed\xa0\x80",
    b"..", b"/", b"=",
)  # fmt: skip


def mutate(data: bytes, pool: Sequence[bytes], chance: random.Random) -> bytes:
    """One to four changes: bits, bytes, splices, cuts, doubles, and pieces of other inputs."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        kind = chance.randrange(7)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << chance.randrange(8)
        elif kind == 1 and changed:
            changed[place % len(changed)] = chance.randrange(256)
        elif kind == 2:
            changed[place:place] = chance.choice(_SPLICES)
        elif kind == 3:
            del changed[place : place + chance.randint(1, 16)]
        elif kind == 4:
            changed[place:place] = changed[place : place + chance.randint(1, 32)]
        elif kind == 5:
            other = chance.choice(pool)
            start = chance.randrange(len(other) + 1)
            changed[place:place] = other[start : start + chance.randint(1, 64)]
        else:
            del changed[place:]
    return bytes(changed)


def fuzz(
    target: Target,
    seeds: Iterable[bytes],
    modules: Sequence[str],
    seconds: float,
    seed: int,
    each: float = EACH,
) -> tuple[int, int]:
    """Fuzz for a time. Returns how many inputs were tried, and how many were kept for what they reached.

    Raises AssertionError with the input where a target found something, or took more than `each` seconds for it.
    """
    chance = random.Random(seed)
    pool = list(seeds)
    seen: set[tuple[str, int]] = set()
    for data in pool:
        seen |= _lines(target, data, modules, each)
    kept, tried, until = len(pool), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        # A traced run is slow: one in eight looks for new lines, the others look for findings alone.
        for number in range(64):
            data = mutate(chance.choice(pool), pool, chance)
            tried += 1
            if number % 8:
                _guarded(target, data, each)
                continue
            reached = _lines(target, data, modules, each)
            if not reached <= seen and len(data) < 1 << 16:
                seen |= reached
                pool.append(data)
    return tried, len(pool) - kept


class SlowError(Exception):
    """An input took more than its budget."""


@contextmanager
def budget(seconds: float) -> Iterator[None]:
    """Raise SlowError inside where the block takes more than `seconds` of this process's processor time.

    A parser in C is interrupted where it next asks Python whether a signal came, as `re` does.
    """

    def over(_number: int, _frame: FrameType | None) -> None:
        raise SlowError(f"more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _guarded(target: Target, data: bytes, seconds: float) -> None:
    began = time.process_time()
    try:
        with budget(seconds):
            target(data)
        took = time.process_time() - began
        if took > seconds:  # in one step that no signal could interrupt
            raise SlowError(f"{took:.1f} s of processor time")
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}; the input is {data.hex()}") from error


def _lines(target: Target, data: bytes, modules: Sequence[str], seconds: float) -> set[tuple[str, int]]:
    reached: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.endswith(tuple(modules)):
            return None
        if event == "line":
            reached.add((name, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        _guarded(target, data, seconds)
    finally:
        sys.settrace(before)
    return reached
