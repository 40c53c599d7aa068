"""Lines that each say how something stands: a mark, its words, wrapped and never cut; the cursor walks by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.terminal.look import Look
from tui.terminal.texts import wrap
from tui.widgets.nothing import Known
from tui.widgets.rows import RowList, Span

_MARK = 5


@dataclass(frozen=True)
class Marked:
    """A line: `role` of `tui.terminal.look` gives its mark, `text` is fit for display; without a role it goes on below
    one.
    """

    role: str
    text: str


class MarkRows(RowList):
    """Marked lines as rows; what is too long goes on below itself."""

    def __init__(self, look: Look, title: str = "", *, ident: str | None = None, empty: str = "nothing here") -> None:
        super().__init__(look, title, ident=ident, empty=empty)
        self.lines: tuple[Marked, ...] = ()
        self._rows: list[tuple[str, str]] = []
        self._wrapped_at = 0

    @property
    def row_count(self) -> int:
        return len(self._rows)

    def show(self, lines: Sequence[Marked]) -> None:
        """Other lines; nothing happens where they are the same."""
        self.stands(Known.SHOWN)
        if tuple(lines) == self.lines:
            return
        self.lines = tuple(lines)
        self._wrapped_at = 0
        self.cursor = self.top = 0
        self.resized()
        self.changed()

    def forget(self) -> None:
        self.lines, self._rows, self._wrapped_at = (), [], 0
        self.changed()

    def resized(self) -> None:
        width = self.size.width - 2
        if width <= _MARK + 8 or width == self._wrapped_at:
            return
        self._wrapped_at = width
        self._rows = []
        for line in self.lines:
            mark = f"{self.look.mark(line.role)} " if line.role else " " * _MARK
            for number, part in enumerate(wrap(line.text, width - _MARK)):
                self._rows.append((" " * _MARK + part if number else mark + part, line.role))

    def row(self, index: int, width: int) -> Sequence[Span]:
        return [self._rows[index]]

    def as_text(self) -> str:
        heads = [self.title] if self.title else []
        lines = [f"{self.look.mark(line.role) if line.role else '    '} {line.text}" for line in self.lines]
        return "\n".join([*heads, *(lines or [self.empty])]) + "\n"
