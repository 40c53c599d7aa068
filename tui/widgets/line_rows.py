"""Facts and checks as rows: more of them than the screen has room for can be walked through."""

from __future__ import annotations

from collections.abc import Sequence

from tui.terminal.look import Look
from tui.terminal.texts import number
from tui.widgets.nothing import Known
from tui.widgets.panel import wrapped
from tui.widgets.rows import RowList, Span

MORE = "tab: more"
"""Said where rows are below the last one that is seen, and the keys go to another list."""


class LineRows(RowList):
    """Lines of spans, wrapped as in a `Panel` and never cut; the cursor walks by row."""

    def __init__(self, look: Look, title: str = "", *, ident: str | None = None, empty: str = "nothing here") -> None:
        super().__init__(look, title, ident=ident, empty=empty)
        self.lines: tuple[tuple[Span, ...], ...] = ()
        self._rows: list[tuple[Span, ...]] = []
        self._wrapped_at = 0

    @property
    def row_count(self) -> int:
        return len(self._rows)

    @property
    def needed(self) -> int:
        """Rows that show all of it, with the title."""
        return len(self._rows) + (1 if self.title else 0)

    def show(self, lines: Sequence[Sequence[Span]], title: str | None = None) -> None:
        """Other lines; the reader's place is kept."""
        self.stands(Known.SHOWN)
        fresh = tuple(tuple(line) for line in lines)
        if title is not None and title != self.title:
            self.title = title
        elif fresh == self.lines:
            return
        grown = len(fresh) != len(self.lines)
        self.lines = fresh
        self._wrapped_at = 0
        self.resized()
        self.changed()
        if grown and self.styles.is_auto_height:
            self.refresh(layout=True)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(wrapped(self.lines, max(width - 2, 1))) + (1 if self.title else 0)

    def forget(self) -> None:
        self.lines, self._rows, self._wrapped_at = (), [], 0
        self.changed()

    def resized(self) -> None:
        width = self.size.width - 2
        if width > 8 and width != self._wrapped_at:
            self._wrapped_at = width
            self._rows = wrapped(self.lines, width)

    def row(self, index: int, width: int) -> Sequence[Span]:
        return self._rows[index]

    def _counted(self) -> tuple[str, str]:
        """A block that is seen whole counts nothing; one that goes on below says how to get there. What is counted are
        lines on the screen, and not what they tell of."""
        if self.row_count <= self.page:
            return "", self.note
        place = f"line {number(self.cursor + 1)} of {self.row_total}"
        return (place, self.note) if self.has_focus else ("", MORE)

    def as_text(self) -> str:
        lines = ["".join(text for text, _ in line) for line in self.lines]
        return "\n".join([*([self.title] if self.title else []), *(lines or [self.nothing])]) + "\n"
