"""What can be done with every table of a screen: narrow it, sort it, choose its columns, mark its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tui.dialogs.choose import Choose, Option
from tui.screens.asking import AskingScreen
from tui.terminal.texts import count
from tui.widgets.narrowing import shared
from tui.widgets.table import Arrangement, Table


class ListActs(AskingScreen, inherit_bindings=False):
    """The base of screens with tables. `name_of` is the screen's name in `tui.actions.registry`."""

    name_of: ClassVar[str]

    def narrow(self, table: Table[Any], text: str) -> None:
        """Narrow a table by a filter, and say what is wrong with one that cannot be read."""
        wrong = table.narrow(text)
        if wrong:
            self.say("bad", wrong)

    def share(self, table: Table[Any], text: str) -> str:
        """Narrow a table by the part of a filter that is looked for here, and return the station's part."""
        asked, here = shared(text, tuple(column.name for column in table.columns))
        if asked != table.held:
            table.held, table.next = asked, None  # what follows the rows of another question is not asked for
        self.narrow(table, here)
        return asked

    def table_now(self) -> Table[Any] | None:
        """The table that the keys are about: the one with the focus, else the first that is seen."""
        tables = [table for table in self.query(Table) if table.display]
        return next((one for one in tables if one is self.focused), tables[0] if tables else None)

    def do_sort(self) -> None:
        """Ask by which column the table is sorted that has the focus."""
        table = self.table_now()
        if table is None:
            return
        now = table.sorted_by.name if table.sorted_by is not None else ""
        options = [
            Option(one.name, one.name, "turns the order round" if one.name == now else "") for one in table.columns
        ]
        options.append(Option("", "as the station gives it"))
        question = Choose(f"{table.title}: Sort by which column?", options, marked=(now,) if now else ())
        self.console_app.push_screen(question, lambda chosen: self._sort(table, chosen[0]) if chosen else None)

    def _sort(self, table: Table[Any], column: str) -> None:
        table.sort(column)
        self.console_app.keep_list(self.name_of, table.id or "", table.arrangement)

    def do_columns(self) -> None:
        """Ask which columns the table shows that has the focus; the first is always there."""
        table = self.table_now()
        if table is None:
            return
        first, *others = table.columns
        shown = [column.name for column, _ in table.layout_at(table.size.width - 2)]
        question = Choose(
            f"{table.title}: Which columns?",
            [Option(one.name, one.name) for one in others],
            f"{first.name} is always shown. What does not fit is left out, last first. None marked: as many as fit.",
            several=True,
            marked=[one.name for one in others if one.name in shown],
        )
        self.console_app.push_screen(question, lambda chosen: self._show_columns(table, chosen))

    def _show_columns(self, table: Table[Any], chosen: tuple[str, ...] | None) -> None:
        if chosen is None:
            return
        columns = (table.columns[0].name, *chosen) if chosen else ()
        table.put_in_order(Arrangement(columns, table.arrangement.sorted_by, table.downward))
        self.console_app.keep_list(self.name_of, table.id or "", table.arrangement)

    def do_mark(self) -> None:
        table = self.table_now()
        if table is not None:
            table.toggle_mark()

    def do_mark_range(self) -> None:
        table = self.table_now()
        if table is not None:
            self.mark_records(table, table.range_to_here(), on=True)

    def do_mark_all(self) -> None:
        """Mark all that is shown, or unmark it where it is."""
        table = self.table_now()
        if table is not None:
            on = any(table.key(record) not in table.marked for record in table.records)
            self.mark_records(table, table.records, on=on)

    def mark_records(self, table: Table[Any], records: Sequence[Any], *, on: bool) -> None:
        """Mark or unmark records of a table, and say how many are."""
        table.mark(records, on=on)
        more = "; of those that are loaded: end loads more" if table.next is not None and on else ""
        self.say("ok", f"{count(len(table.marked), 'row')} marked{more}")

    def copied_marks(self) -> str:
        """The names of what is marked, a line each; empty where fewer than two are."""
        table = self.table_now()
        if table is None or len(table.chosen_records) < 2:
            return ""
        return "\n".join(table.key(record) for record in table.chosen_records)
