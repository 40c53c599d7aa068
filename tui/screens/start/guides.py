"""Guides: carry out, bring in, recover; which one to begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from tui.guides.steps import ABOUT, TITLES
from tui.screens.station_screen import StationScreen
from tui.widgets.rows import RowList, Span


class GuideRows(RowList):
    """The guides, one a row."""

    @property
    def row_count(self) -> int:
        return len(TITLES)

    def row(self, index: int, width: int) -> Sequence[Span]:
        name = tuple(TITLES)[index]
        return [(f"{TITLES[name]:<12}", "title"), (ABOUT[name], "plain")]


class GuidesScreen(StationScreen):
    name_of: ClassVar[str] = "guides"

    def body(self) -> ComposeResult:
        yield GuideRows(self.look, "What do you want to do?")

    def item(self) -> object | None:
        return tuple(TITLES)[self.query_one(GuideRows).cursor]

    def do_open(self) -> None:
        self.console_app.open_guide(str(self.item()))
