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
from tui.widgets.panel import fact
from tui.widgets.rows import HOLDING, RowList, Span

T = TypeVar("T")

WIDEST: Final = 72
"""Cells of a column that takes what the others leave: beyond that, what belongs together stands apart."""
_NARROWEST: Final = 6
"""Cells that such a column gets in any case."""
SLICE: Final = 2_000
"""Records that are held against a filter before keys are answered again."""


@dataclass(frozen=True)
class Arrangement:
    """How a person wants a list: the columns by name (none: as many as fit), and what it is sorted by."""

    columns: tuple[str, ...] = ()
    sorted_by: str = ""
    downward: bool = False


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column: `cell` gives text fit for display, `role` its look; width 0 takes what the others leave.

    Columns are left out where the table is narrower than `least` cells, unless a person chose them."""

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
        self.chosen: tuple[str, ...] = ()
        """The columns that a person chose, by name; none: as many as fit."""
        self.sorted_by: Column[T] | None = None
        self.downward = False
        self._terms: tuple[Term, ...] = ()
        self._wanted = ""
        self.held = ""
        """What the station was asked to look for: `records` are only those that hold it."""
        self.next: str | None = None
        self.expected: int | None = None
        self.marked: set[str] = set()
        self._marked_last = ""
        self._asked: str | None = None
        self._noted = ""
        self._looked = 0
        """Of what was loaded, what was held against the filter."""
        self._kept: list[tuple[Any, int, T]] = []
        """What answered: by what it is sorted, its place as loaded, the record."""
        self._goes_on = False

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
        looking = self._looked < len(self.loaded) or self.next is not None
        if self.known is Known.SHOWN and self._terms and looking:
            return nothing(Known.LOADING, "nothing found yet; the station is asked for more")
        return super().nothing

    @property
    def arrangement(self) -> Arrangement:
        """How it stands now."""
        return Arrangement(self.chosen, self.sorted_by.name if self.sorted_by is not None else "", self.downward)

    def put_in_order(self, wanted: Arrangement) -> None:
        """Show it so; names of columns that it has not are passed over."""
        names = [column.name for column in self.columns]
        self.chosen = tuple(name for name in names if name in wanted.columns)
        self.sorted_by = next((one for one in self.columns if one.name == wanted.sorted_by), None)
        self.downward = wanted.downward and self.sorted_by is not None
        self._arrange()

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
        self._kept, self._looked = [], 0
        self._look_on()

    def _look_on(self) -> None:
        """Hold the next slice of what was loaded against the filter; the rest when waiting keys were answered."""
        column, first = self.sorted_by, self._looked
        order = None if column is None else column.order or _by_text(column)
        for place, record in enumerate(self.loaded[first : first + SLICE], first):
            if not self._terms or answers(self._terms, self._cells(record)):
                self._kept.append((place if order is None else order(record), place, record))
        self._looked = min(first + SLICE, len(self.loaded))
        if order is not None:
            self._kept.sort(key=lambda kept: kept[0], reverse=self.downward)
        self._put([record for _, _, record in self._kept])
        if self._looked < len(self.loaded):
            if not self._goes_on:
                self._goes_on = True
                self.set_timer(0.001, self._next_slice)
        elif len(self.records) < self.page:
            self.near_end()

    def _next_slice(self) -> None:
        self._goes_on = False
        if self._looked < len(self.loaded):
            self._look_on()

    def _said(self) -> str:
        wanted = self._wanted if self._terms else self.held
        said = [f'{HOLDING}"{safe(wanted)}"'] if wanted else []
        if self.sorted_by is not None:
            way = ", last first" if self.downward else ""
            said.append(f"sorted by {self.sorted_by.name}{way}{', of what is loaded' if self.next else ''}")
        return "; ".join(said)

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
        self._kept, self._looked = [], 0
        self.changed()
        self.post_message(self.Moved(self))

    def extend(self, records: Sequence[T], following: str | None) -> None:
        """Add the page that followed."""
        first = len(self.records)
        self.loaded.extend(records)
        self.next, self._asked = following, None
        if self._terms or self.sorted_by is not None:
            self.note = self._said()
            self._look_on()
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

    @property
    def chosen_records(self) -> list[T]:
        """What actions are about: the marked records, as they stand; where none is marked, the one under the cursor."""
        marked = [record for record in self.records if self.key(record) in self.marked] if self.marked else []
        return marked or ([self.current] if self.current is not None else [])

    def toggle_mark(self) -> None:
        """Mark or unmark the record under the cursor, and go to the next."""
        if self.current is not None:
            self._marked_last = self.key(self.current)
            self.marked ^= {self._marked_last}
            self.refresh(self._line_of(self.cursor), self._counter)
            self.move_to(self.cursor + 1)

    def range_to_here(self) -> list[T]:
        """The records from the one that was marked last to the one under the cursor."""
        places = [place for place, record in enumerate(self.records) if self.key(record) == self._marked_last]
        first, last = sorted((places[0] if places else self.cursor, self.cursor))
        return self.records[first : last + 1]

    def mark(self, records: Sequence[T], *, on: bool = True) -> None:
        """Mark these, or (`on` false) unmark them."""
        keys = {self.key(record) for record in records}
        self.marked = self.marked | keys if on else self.marked - keys
        if self.current is not None:
            self._marked_last = self.key(self.current)
        self.refresh()

    def details(self) -> list[list[Span]]:
        """Every column of the record under the cursor, whole, as lines for a pane beside the list."""
        record = self.current
        if record is None:
            return []
        wide = max(len(column.name) for column in self.columns) + 2
        shown = [(column, column.cell(record)) for column in self.columns]
        return [fact(column.name, text, column.role(record), name_width=wide) for column, text in shown if text]

    def _counted(self) -> tuple[str, str]:
        place, note = super()._counted()
        here = len(self.marked)
        return place, "; ".join(part for part in (f"{number(here)} marked" if here else "", note) if part)

    def layout_at(self, width: int) -> list[tuple[Column[T], int]]:
        """The columns that fit and their widths, two cells apart."""
        shown = [one for one in self.columns if (one.name in self.chosen if self.chosen else width >= one.least)]
        while len(shown) > 1 and sum(one.width or _NARROWEST for one in shown) + 2 * (len(shown) - 1) > width:
            shown.pop()
        fixed = sum(column.width for column in shown) + 2 * (len(shown) - 1)
        flexible = sum(1 for column in shown if not column.width)
        spare = max(width - fixed, _NARROWEST * flexible)
        return [(column, column.width or min(spare // flexible, WIDEST)) for column in shown]

    def heading(self, width: int) -> str:
        cells = [
            (column.name.rjust(wide) if column.right else column.name.ljust(wide))
            for column, wide in self.layout_at(width - 2)
        ]
        return "  " + "  ".join(cells)

    def row(self, index: int, width: int) -> Sequence[Span]:
        record = self.records[index]
        spans: list[Span] = []
        for column, wide in self.layout_at(width):
            text = column.cell(record)
            if spans:
                spans.append(("  ", "plain"))
            elif self.key(record) in self.marked:
                text = f"* {text}"
            cell = text.rjust(wide) if column.right and len(text) <= wide else fit(text, wide, self.look.ellipsis)
            spans.append((cell, column.role(record)))
        return spans


def _by_text(column: Column[Any]) -> Callable[[Any], Any]:
    return lambda record: column.cell(record).casefold()
