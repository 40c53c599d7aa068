"""A fuzzer of our own: inputs are mutated, and those that reach a line no other reached are mutated further.

It is guided by coverage of the parser's own modules (sys.settrace on lines), so that it grows a corpus; a finding is
any exception but the parser's own refusal, or a parser that says something of the input that the input is not.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

Target = Callable[[bytes], None]
"""Reads bytes; returns where it took or refused them as it should, raises anything else for a finding."""

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


def fuzz(target: Target, seeds: Iterable[bytes], modules: Sequence[str], seconds: float, seed: int) -> tuple[int, int]:
    """Fuzz for a time. Returns how many inputs were tried, and how many were kept for what they reached.

    Raises AssertionError with the input where a target found something.
    """
    chance = random.Random(seed)
    pool = list(seeds)
    seen: set[tuple[str, int]] = set()
    for data in pool:
        seen |= _lines(target, data, modules)
    kept, tried, until = len(pool), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        # A traced run is slow: one in eight looks for new lines, the others look for findings alone.
        for number in range(64):
            data = mutate(chance.choice(pool), pool, chance)
            tried += 1
            if number % 8:
                _guarded(target, data)
                continue
            reached = _lines(target, data, modules)
            if not reached <= seen and len(data) < 1 << 16:
                seen |= reached
                pool.append(data)
    return tried, len(pool) - kept


def _guarded(target: Target, data: bytes) -> None:
    try:
        target(data)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}; the input is {data.hex()}") from error


def _lines(target: Target, data: bytes, modules: Sequence[str]) -> set[tuple[str, int]]:
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
        _guarded(target, data)
    finally:
        sys.settrace(before)
    return reached
