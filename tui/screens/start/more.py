"""More: the further screens, one a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from tui.actions.further_screens import LISTED
from tui.screens.station_screen import StationScreen
from tui.widgets.rows import RowList, Span


class MoreRows(RowList):
    """Titles, and what each screen is about; the help stands last."""

    entries = (*((one.name, one.title, one.about) for one in LISTED), ("help", "Help", "keys, marks and words"))

    @property
    def row_count(self) -> int:
        return len(self.entries)

    def row(self, index: int, width: int) -> Sequence[Span]:
        _, title, about = self.entries[index]
        return [(f"{title:<16}", "title"), (about, "plain")]


class MoreScreen(StationScreen):
    name_of: ClassVar[str] = "more"

    def body(self) -> ComposeResult:
        yield MoreRows(self.look, "Further screens")

    def item(self) -> object | None:
        return MoreRows.entries[self.query_one(MoreRows).cursor][0]

    def do_open(self) -> None:
        self.console_app.show_root(str(self.item()))
