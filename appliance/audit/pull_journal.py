"""Keeps the counts of repeated pulls where a killed worker's successor finds them.

A file of the worker's own, in the folder `run`: of each count that changed within a second a line is added, which has
all of it, so the last line about a pull counts. So a worker that is killed loses the repeated pulls of about a second;
a power cut, or somebody who empties the folder, those that the audit log does not have yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from appliance.limits import audit as limits
from bundles.errors import LockgateError
from bundles.io.files import read_small

_MOST: Final = 10**12
"""Pulls that one line may tell."""


class Repeated(NamedTuple):
    """How often a client pulled a thing again since its last event; 0: an event has told of them."""

    actor: str
    thing: str
    address: str
    reference: str
    more: int


class PullJournal:
    """One worker's file. `left` are those of workers that the station does not have any more. Blocking."""

    def __init__(self, path: Path, left: Sequence[Path] = ()) -> None:
        self._path, self._left = path, left
        self.size = 0
        """Bytes of the file."""

    def load(self) -> list[Repeated]:
        """What killed workers had counted, and no event told of. What is no such line is passed over."""
        return [one for path in (self._path, *self._left) for one in _read(path) if one.more]

    def begin(self, counts: Iterable[Repeated] = ()) -> None:
        """Begin anew with these alone; what was loaded is recorded by then. Raises OSError."""
        for path in self._left:
            path.unlink(missing_ok=True)
        beside = self._path.with_suffix(".new")
        self.size = _write(beside, counts, os.O_TRUNC)
        beside.replace(self._path)

    def add(self, counts: Iterable[Repeated]) -> None:
        """Add what changed. Raises OSError."""
        self.size += _write(self._path, counts, os.O_APPEND)

    @property
    def is_long(self) -> bool:
        """Whether it is time to begin anew."""
        return self.size > limits.PULL_JOURNAL


def _write(path: Path, counts: Iterable[Repeated], how: int) -> int:
    raw = b"".join(json.dumps(one).encode() + b"\n" for one in counts)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | how, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
    return len(raw)


def _read(path: Path) -> Iterator[Repeated]:
    try:
        raw = read_small(path, 2 * limits.PULL_JOURNAL)
    except (LockgateError, OSError):
        return
    found: dict[tuple[str, str, str], Repeated] = {}
    for line in raw.splitlines():
        one = _repeated(line)
        if one is not None:
            found[one.actor, one.thing, one.address] = one
    yield from found.values()


def _repeated(line: bytes) -> Repeated | None:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):  # the last one may be cut off
        return None
    if not isinstance(said, list) or len(said) != len(Repeated._fields):
        return None
    *texts, more = said
    is_number = isinstance(more, int) and not isinstance(more, bool) and 0 <= more <= _MOST
    return Repeated(*said) if is_number and all(isinstance(text, str) for text in texts) else None
