"""Two copies of a table held against each other: how many rows, a digest of all of them, and which differ.

Both sides hand out their rows in the order of the key, as texts, whole numbers, bytes, floats and None. A digest is
SHA-256 over the rows in that order, each as MessagePack writes an array: the same function over both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import msgspec

Row = tuple[Any, ...]
Batches = Iterator[list[Row]]
"""Rows in the order of their key, some thousand at a time."""


@dataclass(slots=True)
class Compared:
    """What was found. `gone`: keys that the target has and must lose; `put`: rows that it must get. A row that differs
    is in both."""

    rows: tuple[int, int] = (0, 0)
    digests: tuple[str, str] = ("", "")
    gone: list[Row] = field(default_factory=list)
    put: list[Row] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether both sides have the same rows, by count and by digest."""
        return not self.gone and not self.put and self.rows[0] == self.rows[1] and self.digests[0] == self.digests[1]


class _Side:
    """One side as it is read: what of the batch at hand is left, and what was read so far."""

    def __init__(self, batches: Batches) -> None:
        self._batches, self._digest, self._encode = batches, hashlib.sha256(), msgspec.msgpack.Encoder().encode
        self.rows = 0
        self.batch: list[Row] = []

    def fill(self) -> bool:
        """Whether rows are at hand."""
        while not self.batch:
            found = next(self._batches, None)
            if found is None:
                return False
            self.batch = found
            self.rows += len(found)
            self._digest.update(b"".join(map(self._encode, found)))
        return True

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


def compare(source: Batches, target: Batches, key: tuple[int, ...], seen: Callable[[int], object]) -> Compared:
    """Read both sides to their end. `seen` is called with the rows of the source that were read since the last call."""
    found, ours, theirs = Compared(), _Side(source), _Side(target)
    key_of = _key_of(key)
    told = 0
    while True:
        has_ours, has_theirs = ours.fill(), theirs.fill()
        seen(ours.rows - told)
        told = ours.rows
        if not has_ours and not has_theirs:
            break
        if not has_theirs:
            found.put += ours.batch
            ours.batch = []
        elif not has_ours:
            found.gone += map(key_of, theirs.batch)
            theirs.batch = []
        else:
            _step(ours, theirs, key_of, found)
    found.rows, found.digests = (ours.rows, theirs.rows), (ours.digest, theirs.digest)
    return found


def digest_of(batches: Batches) -> tuple[int, str]:
    """How many rows a table has, and their digest."""
    side = _Side(batches)
    while side.fill():
        side.batch = []
    return side.rows, side.digest


def _step(ours: _Side, theirs: _Side, key_of: Callable[[Row], Row], found: Compared) -> None:
    """Go on until one of the two batches is used up. Equal stretches are compared as a whole."""
    both = min(len(ours.batch), len(theirs.batch))
    if ours.batch[:both] == theirs.batch[:both]:
        ours.batch, theirs.batch = ours.batch[both:], theirs.batch[both:]
        return
    first = second = 0
    while first < len(ours.batch) and second < len(theirs.batch):
        one, other = ours.batch[first], theirs.batch[second]
        key, other_key = key_of(one), key_of(other)
        if key == other_key:
            if one != other:
                found.gone.append(other_key)
                found.put.append(one)
            first, second = first + 1, second + 1
        elif key < other_key:
            found.put.append(one)
            first += 1
        else:
            found.gone.append(other_key)
            second += 1
    ours.batch, theirs.batch = ours.batch[first:], theirs.batch[second:]


def _key_of(key: tuple[int, ...]) -> Callable[[Row], Row]:
    """What takes a row's key out of it, as a tuple."""
    if len(key) == 1:
        (place,) = key
        return lambda row: (row[place],)
    return itemgetter(*key)
