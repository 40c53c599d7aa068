"""The copying of a move: rounds while the station writes, and one behind which both sides are the same."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from appliance.limits import store as limits
from appliance.store.moving.compare import Batches, Compared, Row, compare, digest_of
from appliance.store.moving.sides import Source, Target
from appliance.store.moving.tables import Table, tables
from bundles.errors import FailedError
from bundles.io.display import some

_SAMPLE: Final = 10
"""Batches that are read for an estimate."""
Progress = Callable[[str, int, int], object]
"""Called with a phase, rows done and rows in all; it may raise, which ends the copying."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What both sides hold: rows, and SHA-256 over each table's name, rows and digest."""

    rows: int
    tables: int
    digest: str


def copy_round(source: Source, target: Target, phase: str, progress: Progress) -> int:
    """Bring the target to one moment of the source; how many rows had to change that were there before."""
    count = _Count(phase, progress)
    changed = 0
    with source.moment():
        count.total = sum(source.count(table) for table in tables())
        for table in tables():
            if target.is_empty(table):
                target.fill(table, count.through(source.batches(table)))
                continue
            found = _compared(source, target, table, count.add)
            changed += len(found.put) + len(found.gone)
            if len(found.put) + len(found.gone) > limits.MOVE_DIFFERENCES:
                target.fill(table, source.batches(table))
            elif not found.same:
                target.change(iter([(table, found.gone, found.put)]))
    return changed


def copy_last(source: Source, target: Target, progress: Progress) -> Verified:
    """As `copy_round`, where nobody writes: what differs is copied, and each table is read on both sides and is the
    same. Raises FailedError naming a table that is not."""
    count = _Count("comparing", progress)
    results = dict[str, Compared]()
    with source.moment():
        count.total = sum(source.count(table) for table in tables())
        for table in tables():
            results[table.name] = _compared(source, target, table, count.add)
        target.change(_changes(results))
        for table in tables():
            if not results[table.name].same:
                again = results[table.name] = _compared(source, target, table, lambda _: None)
                if not again.same:
                    raise FailedError(
                        "the two databases are not the same, and nothing was switched",
                        thing=f"{table.name}: {some(again.rows[0], 'row')} and {some(again.rows[1], 'row')}",
                        remedy="start with an empty database: lockgate migrate --abandon, then move again",
                    )
    text = "".join(f"{name} {found.rows[0]} {found.digests[1]}\n" for name, found in sorted(results.items()))
    rows = sum(found.rows[0] for found in results.values())
    return Verified(rows, len(results), f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")


def seconds_a_row(source: Source) -> float:
    """Seconds that a row takes to be read and to be part of a digest, by the first ones of the largest table."""
    with source.moment():
        largest = max(tables(), key=source.count)
        begun = time.perf_counter()
        rows, _ = digest_of(islice(source.batches(largest), _SAMPLE))
        return (time.perf_counter() - begun) / max(rows, 1)


def _compared(source: Source, target: Target, table: Table, seen: Callable[[int], object]) -> Compared:
    with target.moment():
        return compare(source.batches(table), target.batches(table), table.key, seen)


def _changes(results: dict[str, Compared]) -> Iterator[tuple[Table, list[Row], list[Row]]]:
    for table in tables():
        found = results[table.name]
        if found.gone or found.put:
            yield table, found.gone, found.put


class _Count:
    """Rows of a round so far."""

    def __init__(self, phase: str, progress: Progress) -> None:
        self._phase, self._progress = phase, progress
        self.total = self._done = 0

    def add(self, rows: int) -> None:
        self._done += rows
        self._progress(self._phase, self._done, self.total)

    def through(self, batches: Batches) -> Batches:
        for rows in batches:
            yield rows
            self.add(len(rows))
