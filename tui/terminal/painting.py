"""Painting over a slow line: only the cells that changed are sent, with the fewest attribute changes between them.

Textual repaints regions; a screen that changes its layout repaints whole rows, and switching screens paints several
times before it is at rest. This keeps what the terminal shows and sends the difference, as curses does. It takes the
place of Textual's own writing (`App._display`), the one step between its compositor and its driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.strip import Strip

Cell = tuple[str, Style | None]
"""A character and its style; the second cell of a wide character is empty text."""

_NOTHING: Final[Cell] = ("", None)
_SUBSTITUTES: Final = {"•": "*", "…": "~", "─": "-", "│": "|", "█": "#", "░": ".", "“": '"', "”": '"'}
_BRIDGE: Final = 5
"""Unchanged cells that are cheaper to send again than to jump over: a cursor move costs six to eight bytes."""


class Painted:
    """What the terminal shows, cell by cell; None where that is not known."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self._ascii_only = ascii_only
        self._rows: list[list[Cell]] = []
        self._width = 0

    def forget(self) -> None:
        """The terminal was cleared, resized or written to by another: paint everything next time."""
        self._rows = []

    def changes(self, update: LayoutUpdate | ChopsUpdate, size: tuple[int, int], colours: ColorSystem | None) -> str:
        """The control sequences and texts that bring the terminal from what it shows to the update; taken as sent."""
        width, height = size
        if len(self._rows) != height or self._width != width:
            self._rows = [[_NOTHING] * width for _ in range(height)]
            self._width = width
        parts: list[str] = []
        pen = _Pen(colours)
        for y, x, strip in _pieces(update):
            if 0 <= y < height:
                self._row(self._rows[y], y, x, strip, pen, parts)
        parts.append(pen.reset())
        return "".join(parts)

    def _row(self, row: list[Cell], y: int, x: int, strip: Strip, pen: _Pen, parts: list[str]) -> None:
        cells = (_plain(_cells(strip)) if self._ascii_only else _cells(strip))[: max(len(row) - x, 0)]
        if row[x : x + len(cells)] == cells:
            return
        for start, end in _runs(row, cells, x):
            parts.append(f"\x1b[{y + 1};{x + start + 1}H")
            parts.extend(pen.write(text, style) for text, style in cells[start:end] if text)
        row[x : x + len(cells)] = cells


class _Pen:
    """The terminal's attributes as they stand while a frame is written."""

    def __init__(self, colours: ColorSystem | None) -> None:
        self._colours = colours
        self._codes = ""

    def write(self, text: str, style: Style | None) -> str:
        codes = _codes(style, self._colours) if style is not None else ""
        if codes == self._codes:
            return text
        before, self._codes = self._codes, codes
        if not codes:
            return f"\x1b[m{text}"
        return f"\x1b[{'0;' if before else ''}{codes}m{text}"

    def reset(self) -> str:
        before, self._codes = self._codes, ""
        return "\x1b[m" if before else ""


@lru_cache(256)
def _codes(style: Style, colours: ColorSystem | None) -> str:
    """The attribute codes of a style, without those that say `as the terminal has it`."""
    shown = style.render("x", color_system=colours)
    if not shown.startswith("\x1b["):
        return ""
    codes = shown[2 : shown.index("m")].split(";")
    return ";".join(code for code in codes if code not in ("39", "49"))


def _pieces(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Row, column and content of everything the update repaints."""
    if isinstance(update, ChopsUpdate):
        for y in sorted({y for y, _, _ in update.spans}):
            for x, strip in update.chops[y].items():
                if strip is not None:
                    yield y, x, strip
        return
    for y, line in enumerate(update.strips, update.region.y):
        x = update.region.x
        for strip in line:
            yield y, x, strip
            x += strip.cell_length


def _cells(strip: Strip) -> list[Cell]:
    cells: list[Cell] = []
    for segment in strip:
        if segment.control:
            continue
        if segment.text.isascii():
            cells.extend((character, segment.style) for character in segment.text)
            continue
        for character in segment.text:
            cells.append((character, segment.style))
            cells.extend([("", segment.style)] * (cell_len(character) - 1))
    return cells


def _plain(cells: list[Cell]) -> list[Cell]:
    """For a terminal without Unicode: every other character is one that it has, a cell for a cell."""
    return [(text if text.isascii() else _SUBSTITUTES.get(text, "?"), style) for text, style in cells]


def _runs(row: list[Cell], cells: list[Cell], x: int) -> Iterator[tuple[int, int]]:
    """Stretches of `cells` that differ from the row, near ones joined; none begins or ends within a wide character."""
    start, last = -1, -1
    for place, cell in enumerate(cells):
        if row[x + place] == cell:
            continue
        if start >= 0 and place - last > _BRIDGE:
            yield _whole(cells, start, last + 1)
            start = -1
        if start < 0:
            start = place
        last = place
    if start >= 0:
        yield _whole(cells, start, last + 1)


def _whole(cells: list[Cell], start: int, end: int) -> tuple[int, int]:
    while start > 0 and not cells[start][0]:
        start -= 1
    while end < len(cells) and not cells[end][0]:
        end += 1
    return start, end
