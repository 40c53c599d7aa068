"""Families of series that are closed: every label value is known when the station starts, so every series exists from
then on at 0, and none is made by what a client sends."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

CELL: Final = 8
"""Bytes of a cell, an IEEE 754 double."""


@dataclass(frozen=True, slots=True)
class Family:
    """Counters of one name, or histograms where there are `bounds` (upper ones, rising, without infinity).

    `values` has the label values of every series. A counter takes one cell; a histogram one for each bound, one for
    what is above all of them, and one for the sum. `name` is without `_total`.
    """

    name: str
    text: str
    labels: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    bounds: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """Cells of one series."""
        return len(self.bounds) + 2 if self.bounds else 1


def family(name: str, text: str, bounds: tuple[float, ...] = (), **labels: Iterable[str]) -> Family:
    """A family with a series for every combination of the labels' values."""
    combined = tuple(itertools.product(*(tuple(values) for values in labels.values())))
    return Family(name, text, tuple(labels), combined, bounds)


class Layout:
    """Where each series' cells are. Equal for all processes of a station, since the families are."""

    def __init__(self, families: Sequence[Family]) -> None:
        self.families = tuple(families)
        self._at: dict[tuple[str, ...], int] = {}
        self._bounds: dict[int, tuple[float, ...]] = {}
        self.cells = 0
        for one in self.families:
            for values in one.values:
                self._at[one.name, *values] = self.cells
                if one.bounds:
                    self._bounds[self.cells] = one.bounds
                self.cells += one.width

    def at(self, name: str, *values: str) -> int:
        """The first cell of a series. Raises KeyError for one that there is none of."""
        return self._at[name, *values]

    def bounds(self, at: int) -> tuple[float, ...]:
        """The upper bounds of the histogram that begins at a cell."""
        return self._bounds[at]

    def series(self) -> Iterator[tuple[Family, tuple[str, ...], int]]:
        """Every series: its family, its label values and its first cell."""
        for one in self.families:
            for values in one.values:
                yield one, values, self._at[one.name, *values]


class Counts:
    """What one process counts. For one thread at a time: adding reads and writes a cell."""

    def __init__(self, layout: Layout, cells: memoryview[float]) -> None:
        """`cells` are `layout.cells` doubles."""
        self.layout, self._cells = layout, cells

    def move_to(self, cells: memoryview[float]) -> None:
        """Go on in other cells, with what was counted."""
        cells[:] = self._cells
        self._cells = cells

    def add(self, at: int, amount: float = 1.0) -> None:
        """Add to the counter at a cell. About 0.1 µs."""
        self._cells[at] += amount

    def observe(self, at: int, value: float) -> None:
        """Put a value into the histogram that begins at a cell. About 0.3 µs."""
        bounds, cells = self.layout.bounds(at), self._cells
        cells[at + bisect_left(bounds, value)] += 1.0
        cells[at + len(bounds) + 1] += value

    def read(self, at: int, count: int = 1) -> list[float]:
        """The numbers in so many cells from one on."""
        return list(self._cells[at : at + count])
