"""The tail of a log: it follows the end until the cursor is moved up."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import wrap
from tui.widgets.rows import RowList, Span

KEPT: Final = 5_000
"""Lines kept here; the station keeps them all."""

_INDENT: Final = "  "


class LogRows(RowList):
    """Untrusted lines, wrapped at the width and never cut: a path or a digest at the end is what is looked for."""

    def __init__(self, look: Look, title: str) -> None:
        super().__init__(look, title, ident="log", empty="nothing logged yet")
        self.lines: deque[str] = deque(maxlen=KEPT)
        self._rows: deque[str] = deque(maxlen=KEPT)

    @property
    def row_count(self) -> int:
        return len(self._rows)

    def row(self, index: int, width: int) -> Sequence[Span]:
        return [(self._rows[index], "plain")]

    def clear(self) -> None:
        self.lines.clear()
        self._rows.clear()
        self.changed()

    def add(self, line: str) -> None:
        """A new last line."""
        follows = self.cursor >= self.row_count - 1
        self.lines.append(safe(line.rstrip("\n")))
        self._rows.extend(self._wrapped(self.lines[-1]))
        if follows:
            self.cursor = self.row_count - 1
        self.changed()

    def resized(self) -> None:
        follows = self.cursor >= self.row_count - 1
        self._rows = deque((row for line in self.lines for row in self._wrapped(line)), maxlen=KEPT)
        if follows:
            self.cursor = max(self.row_count - 1, 0)

    def as_text(self) -> str:
        return "\n".join([self.title, *(self.lines or [self.empty])]) + "\n"

    def _wrapped(self, line: str) -> list[str]:
        width = max(self.size.width - 2 - len(_INDENT), 20)
        first, *rest = wrap(line, width)
        return [first, *(_INDENT + part for part in rest)]
