"""A table of one list of the control API, which the station filters and gives page by page."""

from __future__ import annotations

from typing import Any, ClassVar

from appliance.api.common import Page
from tui.screens.station_screen import PAGE, StationScreen
from tui.widgets.table import Table


class PagedScreen(StationScreen):
    """A screen over `listed_at`, whose answers are `pages_of`, in `table`."""

    listed_at: ClassVar[str]
    pages_of: ClassVar[Any]
    needs: ClassVar[str] = ""
    """The permission that the list takes."""

    @property
    def table(self) -> Table[Any]:
        """Where the records stand."""
        raise NotImplementedError

    def load(self) -> None:
        self.load_page()

    def load_page(self) -> None:
        """Ask for the first page."""
        wanted = self._wanted()
        self.ask(
            lambda station: station.fetch(self.pages_of, self.listed_at, **wanted),
            self.show_page,
            places=[self.table],
            needs=self.needs,
        )

    def filter_changed(self, text: str) -> None:
        before = self.table.held
        if self.share(self.table, text) != before:
            self.load()

    def show_page(self, page: Page[Any]) -> None:
        self.table.show(page.items, page.next)
        self.moved(None)

    def on_table_more(self, message: Table.More) -> None:
        wanted = {**self._wanted(), "after": message.after}
        self.ask(
            lambda station: station.fetch(self.pages_of, self.listed_at, **wanted),
            lambda page: self.table.extend(page.items, page.next),
            group="more",
        )

    def _wanted(self) -> dict[str, object]:
        return {"filter": self.table.held, "limit": PAGE}

    def item(self) -> object | None:
        return self.table.current
