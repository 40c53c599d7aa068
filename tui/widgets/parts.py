"""The parts of a job: media as bars that fill, volumes as a grid that fills, and what waits for a bad one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from appliance.api.jobs import Part
from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import count, percent, size
from tui.widgets.rows import Span

_ROW: Final = 50
"""Cells in a row: five groups of ten fit 80 columns."""

_TOLD: Final = 4
"""Volumes of which it is said what waits for them; the log has them all."""

_DIGEST: Final = 19
"""Characters of a blob's digest beside its bar: the algorithm and twelve digits."""

_ROLES: Final = {
    "writing": "busy",
    "comparing": "busy",
    "done": "ok",
    "failed": "bad",
    "waiting": "wait",
    "reading": "busy",
    "verified": "ok",
    "missing": "need",
    "damaged": "bad",
}


def medium_lines(look: Look, parts: Sequence[Part]) -> list[list[Span]]:
    """A bar for each medium: the first half is what is written, the second what reads back as signed."""
    lines: list[list[Span]] = []
    for part in parts:
        role = _ROLES.get(part.state, "note")
        head = f"{look.mark(role)} {part.state:<9} "
        if part.state == "failed":
            lines.append([(head, role), (f"{safe(part.name)}: {safe(part.about)}", "plain")])
            continue
        written = f"{size(min(part.done, part.total // 2))} of {size(part.total // 2)}"
        bar = f"{look.bar(part.done, part.total, 17)} {percent(part.done, part.total):>4}"
        lines.append([(head, role), (f"{bar}  {written:<20} {safe(part.name)}", "plain")])
    return lines


def transfer_lines(look: Look, parts: Sequence[Part]) -> list[list[Span]]:
    """A bar for each blob that is being fetched, and the sources that failed with their reasons."""
    lines: list[list[Span]] = []
    failed = [part for part in parts if part.state == "failed"]
    for part in parts:
        if part.state != "failed":
            fetched = f"{size(part.done)} of {size(part.total)}"
            bar = f"{look.bar(part.done, part.total, 17)} {percent(part.done, part.total):>4}"
            head = f"{look.mark('busy')} {part.state:<9} "
            lines.append([(head, "busy"), (f"{bar}  {fetched:<20} {safe(part.name)[:_DIGEST]}", "plain")])
    for part in failed[:_TOLD]:
        head = f"{look.mark('bad')} {part.state:<9} "
        lines.append([(head, "bad"), (f"{safe(part.name)}: {safe(part.about)}", "plain")])
    if len(failed) > _TOLD:
        lines.append([(f"     and {count(len(failed) - _TOLD, 'source')} more, in the log", "plain")])
    return lines


def volume_lines(look: Look, parts: Sequence[Part]) -> list[list[Span]]:
    """A cell for each volume, by medium, the legend, and what is missing or damaged with what waits for it."""
    glyphs = {"verified": look.full, "reading": look.half, "waiting": look.empty, "missing": "-", "damaged": "X"}
    lines: list[list[Span]] = []
    ordered = sorted(parts, key=lambda part: (part.medium, part.name))
    for medium, group in groupby(ordered, key=lambda part: part.medium):
        carried = list(group)
        role = _worst(carried)
        for start in range(0, len(carried), _ROW):
            row = carried[start : start + _ROW]
            cells = "".join(glyphs.get(part.state, "?") for part in row)
            tens = " ".join(cells[place : place + 10] for place in range(0, len(cells), 10))
            head = f"{look.mark(role)} medium {medium}" if start == 0 else ""
            lines.append([(f"{head:<15}", role), (f"{_number(row[0])} {tens}", "plain")])
    if not parts:
        return lines
    words = {"verified": "verified", "reading": "being read", "waiting": "to be read", "missing": "not here",
             "damaged": "damaged"}  # fmt: skip
    there = {part.state for part in parts}
    legend = "  ".join(f"{glyphs[state]} {word}" for state, word in words.items() if state in there)
    total = f"{count(len(parts), 'volume')}, {size(sum(part.total for part in parts))}"
    lines.append([(f"{legend}   {total}", "plain")])
    return [*lines, *_blocking(look, ordered)]


def _blocking(look: Look, parts: Sequence[Part]) -> list[list[Span]]:
    told = sorted((part for part in parts if part.about), key=lambda part: part.state)
    lines: list[list[Span]] = []
    for part in told[:_TOLD]:
        role = _ROLES.get(part.state, "note")
        text = f"needed by {safe(part.about)}"
        lines.append([(f"{look.mark(role)} {_number(part)} {part.state}: ", role), (text, "plain")])
    if len(told) > _TOLD:
        lines.append([(f"     and {count(len(told) - _TOLD, 'volume')} more, in the log", "plain")])
    return lines


def _worst(parts: Sequence[Part]) -> str:
    """The role of a medium: what is worst about its volumes."""
    roles = {_ROLES.get(part.state, "note") for part in parts}
    return next((role for role in ("bad", "busy", "need", "wait", "ok") if role in roles), "note")


def _number(part: Part) -> str:
    """`0012` of `volumes/0012.7z`."""
    return safe(part.name.rpartition("/")[2].partition(".")[0])
