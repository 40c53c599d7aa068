"""Volumes as a grid: a cell for each, by medium, verified or still to come."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from appliance.api.intake import CarriedVolume
from tui.terminal.look import Look
from tui.terminal.texts import count, size
from tui.widgets.rows import Span

_ROW = 50
"""Cells in a row: five groups of ten fit 80 columns."""


def grid(look: Look, volumes: Sequence[CarriedVolume]) -> list[list[Span]]:
    """The lines of the grid and its legend."""
    lines: list[list[Span]] = []
    for medium, group in groupby(sorted(volumes, key=lambda one: (one.medium, one.index)), key=lambda one: one.medium):
        carried = list(group)
        whole = all(volume.verified for volume in carried)
        for start in range(0, len(carried), _ROW):
            row = carried[start : start + _ROW]
            cells = "".join(look.full if volume.verified else look.empty for volume in row)
            tens = " ".join(cells[place : place + 10] for place in range(0, len(cells), 10))
            head = f"{look.mark('ok' if whole else 'need')} medium {medium:<3}" if start == 0 else " " * 15
            lines.append([(f"{head:<15}{row[0].index:04d} ", "ok" if whole else "need"), (tens, "plain")])
    total = f"{count(len(volumes), 'volume')}, {size(sum(volume.size for volume in volumes))}"
    lines.append([(f"{look.full} verified   {look.empty} still to come   {total}", "plain")])
    return lines
