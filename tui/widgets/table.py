"""A table of records in columns, filled page by page from the station."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from textual.message import Message

from bundles.errors import UsageError
from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import fit, number
from tui.widgets.narrowing import Term, answers, parse
from tui.widgets.nothing import Known, nothing
from tui.widgets.rows import HOLDING, RowList, Span

T = TypeVar("T")

WIDEST: Final = 72
"""Cells of a column that takes what the others leave: beyond that, what belongs together stands apart."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column: `cell` gives text fit for display, `role` its look; width 0 takes what the others leave.

    `spare` columns are left out, last first, where the table is narrower than `least` cells."""

    name: str
    cell: Callable[[T], str]
    width: int = 0
    right: bool = False
    role: Callable[[T], str] = lambda record: "plain"
    least: int = 0
    order: Callable[[T], Any] | None = None
    """What the column is sorted by, where that is not its text."""


class Table(RowList, Generic[T]):
    """Records with stable keys: the cursor stays on its record when the list is loaded again."""

    @dataclass
    class More(Message):
        """The view is near the end of what was loaded, and the station has more after `cursor`."""

        table: Table[Any]
        after: str

    def __init__(
        self,
        look: Look,
        title: str,
        columns: Sequence[Column[T]],
        key: Callable[[T], str],
        *,
        ident: str | None = None,
        empty: str = "nothing here",
        also: Callable[[T], str] = lambda record: "",
    ) -> None:
        """`also` gives text of a record that a filter finds and no column shows, fit for display."""
        super().__init__(look, title, ident=ident, empty=empty)
        self.columns = tuple(columns)
        self.key = key
        self.also = also
        self.loaded: list[T] = []
        """What the station gave so far; `records` are those of it that are shown, in their order."""
        self.records: list[T] = []
        self.sorted_by: Column[T] | None = None
        self.downward = False
        self._terms: tuple[Term, ...] = ()
        self._wanted = ""
        self.held = ""
        """What the station was asked to look for: `records` are only those that hold it."""
        self.next: str | None = None
        self.expected: int | None = None
        self.marked: set[str] = set()
        self._asked: str | None = None
        self._noted = ""

    @property
    def row_count(self) -> int:
        return len(self.records)

    @property
    def row_total(self) -> str:
        if self.next is None:
            return number(len(self.records))
        return number(self.expected) if self.expected else f"{number(len(self.records))}+"

    @property
    def current(self) -> T | None:
        """The record under the cursor."""
        return self.records[self.cursor] if self.cursor < len(self.records) else None

    @property
    def nothing(self) -> str:
        if self.known is Known.SHOWN and self._terms and self.next is not None:
            return nothing(Known.LOADING, "nothing found yet; the station is asked for more")
        return super().nothing

    def narrow(self, text: str) -> str:
        """Show only records that answer a filter (`tui.widgets.narrowing`). Returns what is wrong with it, or nothing:
        what was shown then stays."""
        try:
            terms = parse(text, tuple(column.name for column in self.columns))
        except UsageError as error:
            return error.diagnostics()
        self._terms, self._wanted = terms, text.strip()
        self._arrange()
        return ""

    def sort(self, column: str) -> None:
        """Sort by the column of a name; the same one again turns the order round, and an empty name ends it."""
        found = next((one for one in self.columns if one.name == column), None)
        self.downward = found is not None and found is self.sorted_by and not self.downward
        self.sorted_by = found
        self._arrange()

    def _arrange(self) -> None:
        """Show what was loaded, narrowed and in order. Where that fills no page, more is asked for."""
        self.note = self._said()
        self._put(self._ordered(self.loaded))
        if len(self.records) < self.page:
            self.near_end()

    def _said(self) -> str:
        wanted = self._wanted if self._terms else self.held
        said = [f'{HOLDING}"{safe(wanted)}"'] if wanted else []
        if self.sorted_by is not None:
            way = ", last first" if self.downward else ""
            said.append(f"sorted by {self.sorted_by.name}{way}{', of what is loaded' if self.next else ''}")
        return "; ".join(said)

    def _ordered(self, records: Sequence[T]) -> list[T]:
        found = [one for one in records if not self._terms or answers(self._terms, self._cells(one))]
        column = self.sorted_by
        if column is None:
            return found
        order = column.order or (lambda record: column.cell(record).casefold())
        return sorted(found, key=order, reverse=self.downward)

    def _cells(self, record: T) -> dict[str, str]:
        return {"": self.also(record), **{column.name: column.cell(record) for column in self.columns}}

    def show(self, records: Sequence[T], following: str | None = None) -> None:
        """Replace the records; the cursor stays on the record it was on, where that is still there."""
        self.stands(Known.SHOWN)
        if self._terms or self.sorted_by is not None:
            self.loaded, self.next, self._asked = list(records), following, None
            self._arrange()
            return
        if self.loaded == list(records) and self.next == following and self._noted == self.note:
            return
        self._noted = self.note
        self.loaded = list(records)
        self.next, self._asked = following, None
        self._put(self.loaded)

    def _put(self, records: Sequence[T]) -> None:
        key = self.key(self.current) if self.current is not None else None
        self.records = list(records)
        if key is not None and (self.cursor >= len(records) or self.key(records[self.cursor]) != key):
            self.cursor = next((i for i, record in enumerate(records) if self.key(record) == key), self.cursor)
        self.changed()
        self.post_message(self.Moved(self))

    def forget(self) -> None:
        self.loaded, self.records, self.next = [], [], None
        self.changed()
        self.post_message(self.Moved(self))

    def extend(self, records: Sequence[T], following: str | None) -> None:
        """Add the page that followed."""
        first = len(self.records)
        self.loaded.extend(records)
        self.next, self._asked = following, None
        if self._terms or self.sorted_by is not None:
            self._arrange()
            return
        self.records.extend(records)
        if first < self.top + self.page:
            self.refresh()
        else:
            self.refresh(self._counter)

    def near_end(self) -> None:
        if self.next is not None and self.next != self._asked:
            self._asked = self.next
            self.post_message(self.More(self, self.next))

    def toggle_mark(self) -> None:
        """Mark or unmark the record under the cursor, and go to the next."""
        if self.current is not None:
            self.marked ^= {self.key(self.current)}
            self.refresh(self._line_of(self.cursor))
            self.move_to(self.cursor + 1)

    def _layout(self, width: int) -> list[tuple[Column[T], int]]:
        """The columns that fit and their widths, two cells apart."""
        shown = [column for column in self.columns if width >= column.least]
        fixed = sum(column.width for column in shown) + 2 * (len(shown) - 1)
        flexible = sum(1 for column in shown if not column.width)
        spare = max(width - fixed, 6 * flexible)
        return [(column, column.width or min(spare // flexible, WIDEST)) for column in shown]

    def heading(self, width: int) -> str:
        cells = [
            (column.name.rjust(wide) if column.right else column.name.ljust(wide))
            for column, wide in self._layout(width - 2)
        ]
        return "  " + "  ".join(cells)

    def row(self, index: int, width: int) -> Sequence[Span]:
        record = self.records[index]
        spans: list[Span] = []
        for column, wide in self._layout(width):
            text = column.cell(record)
            if spans:
                spans.append(("  ", "plain"))
            elif self.key(record) in self.marked:
                text = f"* {text}"
            cell = text.rjust(wide) if column.right and len(text) <= wide else fit(text, wide, self.look.ellipsis)
            spans.append((cell, column.role(record)))
        return spans
