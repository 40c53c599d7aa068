"""A document as rows: wrapped at the width, never cut."""

from __future__ import annotations

from collections.abc import Sequence

from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import wrap
from tui.widgets.nothing import Known
from tui.widgets.rows import RowList, Span


class TextRows(RowList):
    """Untrusted text, a paragraph a line."""

    def __init__(self, look: Look, title: str, *, ident: str | None = None, empty: str = "empty") -> None:
        super().__init__(look, title, ident=ident, empty=empty)
        self.text = ""
        self._rows: list[str] = []
        self._wrapped_at = 0

    @property
    def row_count(self) -> int:
        return len(self._rows)

    def show(self, text: str) -> None:
        """Another document; line ends part its rows, everything else passes the display function. Nothing happens where
        it is the same: the reader's place is kept."""
        self.stands(Known.SHOWN)
        shown = "\n".join(safe(line) for line in text.expandtabs(4).split("\n"))
        if shown == self.text and self._rows:
            return
        self.text = shown
        self._wrapped_at = 0
        self.cursor = self.top = 0
        self._wrap()
        self.changed()

    def forget(self) -> None:
        self.text, self._rows, self._wrapped_at = "", [], 0
        self.changed()

    def resized(self) -> None:
        self._wrap()

    def _wrap(self) -> None:
        width = self.size.width - 2
        if width > 8 and width != self._wrapped_at:
            self._wrapped_at = width
            self._rows = [part for line in self.text.split("\n") for part in _keep_indent(line, width)]

    def go_to(self, line: str) -> None:
        """Show a line at the top, with the cursor on it; nothing happens where there is no such line."""
        if line in self._rows:
            self.cursor = self.top = self._rows.index(line)
            self.changed()

    def row(self, index: int, width: int) -> Sequence[Span]:
        return [(self._rows[index], "plain")]

    def as_text(self) -> str:
        return self.text + "\n"


def _keep_indent(line: str, width: int) -> list[str]:
    """Wrapped lines go on below their first one's indent."""
    body = line.lstrip(" ")
    indent = min(len(line) - len(body), width // 2)
    return [" " * indent + part for part in wrap(body, width - indent)]
