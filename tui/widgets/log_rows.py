"""The tail of a log: it follows the end until the cursor is moved up."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from bundles.display import safe
from tui.look import Look
from tui.texts import fit
from tui.widgets.rows import RowList, Span

KEPT: Final = 5_000
"""Lines kept here; the station keeps them all."""


class LogRows(RowList):
    """Untrusted lines, each in one row."""

    def __init__(self, look: Look, title: str) -> None:
        super().__init__(look, title, ident="log", empty="nothing logged yet")
        self.lines: deque[str] = deque(maxlen=KEPT)

    @property
    def row_count(self) -> int:
        return len(self.lines)

    def row(self, index: int, width: int) -> Sequence[Span]:
        return [(fit(self.lines[index], width, self.look.ellipsis).rstrip(), "plain")]

    def clear(self) -> None:
        self.lines.clear()
        self.changed()

    def add(self, line: str) -> None:
        """A new last line."""
        follows = self.cursor >= self.row_count - 1
        self.lines.append(safe(line.rstrip("\n")))
        if follows:
            self.cursor = self.row_count - 1
        self.changed()
