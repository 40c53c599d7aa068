"""Requests: what the registry answers just now, by repository and account, how long it takes, and what was recorded."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult

from appliance.api.audit import Event
from appliance.api.common import Page
from appliance.api.live import Live, LiveCount
from bundles.io.display import safe
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import number, size
from tui.widgets.panel import Panel
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.requests import accounts_of, counted_title, event_lines, histogram, repositories_of, within

_AGAIN: Final = 2.0
"""Seconds between two looks; workers count for 15 seconds after the last one."""
_EVENTS: Final = 3


class RequestsScreen(StationScreen):
    name_of: ClassVar[str] = "requests"
    AUTO_FOCUS = "Table"

    def __init__(self) -> None:
        super().__init__()
        self._asked = ""
        """The repository whose newest events were asked for."""
        self._events: tuple[str, str, tuple[Event, ...]] = "", "", ()
        """Of which repository, as of when, and its newest events."""

    def body(self) -> ComposeResult:
        yield self._counts("Repositories", "repository", "repositories", "no request named a repository yet")
        yield self._counts("Accounts", "account", "accounts", "no request ended yet")
        yield Panel(self.look, ident="detail")

    def _counts(self, title: str, name: str, ident: str, empty: str) -> Table[LiveCount]:
        return Table[LiveCount](
            self.look,
            title,
            (
                Column(name, lambda one: safe(one.name)),
                Column("requests", lambda one: number(one.requests), 10, right=True, order=lambda one: one.requests),
                Column("failed", lambda one: number(one.failed), 8, right=True, order=lambda one: one.failed,
                       role=lambda one: "bad" if one.failed else "plain"),
                Column("bytes", lambda one: size(one.bytes), 9, right=True, order=lambda one: one.bytes),
                Column("half in", lambda one: within(one, 0.5), 9, right=True),
                Column("99% in", lambda one: within(one, 0.99), 9, right=True),
            ),
            key=lambda one: one.name,
            ident=ident,
            empty=empty,
        )  # fmt: skip

    @property
    def repositories(self) -> Table[LiveCount]:
        return self.query_one("#repositories", Table)

    @property
    def accounts(self) -> Table[LiveCount]:
        return self.query_one("#accounts", Table)

    def opened(self) -> None:
        self.set_interval(_AGAIN, self._again)

    def _again(self) -> None:
        if self.console_app.shown is self and not self.console_app.link.lost:
            self.load()

    def load(self) -> None:
        self.ask(lambda station: station.fetch(Live, "/v1/live"), self._show,
                 places=[self.repositories, self.accounts], needs="audit")  # fmt: skip

    def _show(self, live: Live) -> None:
        self.repositories.note = counted_title(live)
        self.repositories.show(repositories_of(live))
        self.accounts.show(accounts_of(live))
        self.moved(None)

    def state_changed(self) -> None:
        self._asked, self._events = "", ("", "", ())
        super().state_changed()

    def do_refresh(self) -> None:
        self._asked, self._events = "", ("", "", ())
        super().do_refresh()

    def filter_changed(self, text: str) -> None:
        self.narrow(self.repositories, text)
        self.narrow(self.accounts, text)

    def moved(self, rows: RowList | None) -> None:
        one, lines = self._current(), list[list[Span]]()
        if one is not None:
            lines = [[(f"{safe(one.name)}: how long answers took", "title")], *histogram(self.look, one)]
            if self._events[0] == one.name:
                lines += [[(f"Newest events as of {self._events[1]}", "title")], *event_lines(self._events[2])]
            elif self.last_list is not self.accounts and self._asked != one.name:
                self._ask_events(one.name)
        self.query_one("#detail", Panel).show(lines or [[("", "plain")]])

    def _ask_events(self, name: str) -> None:
        self._asked = name

        def shown(page: Page[Event]) -> None:
            self._events = name, f"{self.console_app.now()[11:19]}Z", page.items[::-1]
            self.moved(None)

        self.ask(lambda station: station.fetch(Page[Event], "/v1/audit", filter=name, limit=_EVENTS), shown,
                 group="events", needs="audit")  # fmt: skip

    def _current(self) -> LiveCount | None:
        inner = self.last_list is self.accounts
        return self.accounts.current if inner else self.repositories.current

    def item(self) -> object | None:
        return self._current()

    def copied(self) -> str:
        one = self._current()
        return one.name if one is not None else ""
