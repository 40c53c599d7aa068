"""Audit: what happened on the station, newest first, by whom, what and when; and whether the record holds."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult

from appliance.api.audit import Checked, Event
from appliance.api.common import Page
from appliance.api.states import AUDIT_FILTERS
from appliance.api.status import Head
from bundles.io.display import safe
from tui.dialogs.form import Field, Form
from tui.dialogs.prompt import Prompt
from tui.screens.station_screen import StationScreen
from tui.station.link import SLOW
from tui.station.port import Station
from tui.terminal.look import MARKS
from tui.widgets.nothing import Known
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.audit import OUTCOMES, chain_lines, detail_text

_PAGE = 200
_NAMES = {"actor": "who"}


class AuditScreen(StationScreen):
    name_of: ClassVar[str] = "audit"

    def __init__(self) -> None:
        super().__init__()
        self.narrowed: dict[str, str] = {}
        self.head = Head()
        self.checked: Checked | None = None
        self.checked_at = ""

    def body(self) -> ComposeResult:
        yield Panel(self.look, "The chain", ident="chain")
        yield Table[Event](
            self.look,
            "Events",
            (
                Column("time", lambda one: safe(one.time[:10]) + " " + safe(one.time[11:19]), 19),
                Column("outcome", self._outcome, 12, role=lambda one: OUTCOMES.get(one.outcome, "note")),
                Column("act", lambda one: safe(one.act), 17),
                Column("who", lambda one: safe(one.actor), 14, least=100),
                Column("thing", lambda one: safe(one.thing)),
            ),
            key=lambda one: f"{one.lane}-{one.seq}",
            ident="events",
            empty="no matching events",
        )  # fmt: skip
        yield Panel(self.look, ident="detail")

    def _outcome(self, event: Event) -> str:
        return f"{self.look.mark(OUTCOMES.get(event.outcome, 'note'))} {safe(event.outcome)}"

    @property
    def table(self) -> Table[Event]:
        return self.query_one("#events", Table)

    def load(self) -> None:
        self.ask(lambda station: self._page(station, None), self.show_events, places=[self.table], needs="audit")
        self.ask(lambda station: station.fetch(Head, "/v1/audit/head"), self.show_head, group="head",
                 places=[self.query_one("#chain", Panel)], needs="audit")  # fmt: skip

    async def _page(self, station: Station, after: str | None) -> Page[Event]:
        """A page, newest first."""
        query: dict[str, Any] = {**self.narrowed, "filter": self.table.held, "limit": _PAGE, "after": after}
        page = await station.fetch(Page[Event], "/v1/audit", **query)
        return Page(page.items[::-1], page.next)

    def show_events(self, page: Page[Event]) -> None:
        said = [f"{_NAMES.get(name, name)} {safe(value)}" for name, value in self.narrowed.items() if value]
        said += [f'holding "{safe(self.filter_text)}"'] if self.filter_text else []
        self.table.note = ", ".join(said)
        self.table.show(page.items, page.next)
        if not page.items and said:
            self.table.stands(Known.NO_MATCH, f"{', '.join(said)}; f and / change that, esc ends it")
        self.moved(None)

    def show_head(self, head: Head) -> None:
        self.head = head
        self._show_chain()

    def _show_chain(self) -> None:
        self.query_one("#chain", Panel).show(chain_lines(self.head, self.checked, self.checked_at, MARKS))

    def on_table_more(self, message: Table.More) -> None:
        self.ask(
            lambda station: self._page(station, message.after),
            lambda page: self.table.extend(page.items, page.next),
            group="more",
        )

    def filter_changed(self, text: str) -> None:
        before = self.table.held
        if self.share(self.table, text) != before:
            self.load()

    def moved(self, rows: RowList | None) -> None:
        event = self.table.current
        lines: list[list[Span]] = [[("", "plain")]]
        if event is not None:
            lines = [
                fact("what", f"{safe(event.act)} {safe(event.thing)} by {safe(event.actor)}", name_width=6),
                fact("more", detail_text(event), name_width=6),
                fact("chain", f"lane {event.lane}, event {event.seq}", name_width=6),
            ]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.table.current

    def do_narrow(self) -> None:
        hints = {
            "act": "how it begins, as intake. or key.revoke", "actor": "who, as it stands in the list",
            "thing": "a bundle, key or reference, whole", "outcome": "done, refused or failed",
            "since": "2026-05-01, or 2026-05-01T09:00:00Z", "until": "before this day or time",
        }  # fmt: skip
        checks = {"outcome": _outcome}
        fields = [
            Field(name, _NAMES.get(name, name), self.narrowed.get(name, ""), hints[name],
                  checks.get(name, lambda text: ""))
            for name in AUDIT_FILTERS
        ]  # fmt: skip

        def narrowed(answers: dict[str, str] | None) -> None:
            if answers is not None:
                self.narrowed = {name: value for name, value in answers.items() if value}
                self.load()

        self.console_app.push_screen(Form("Which events?", fields, "Leave a field empty to match anything."), narrowed)

    def do_check_chain(self) -> None:
        explain = (
            "Every event is looked at. With a head from a receipt, a custody form or this screen, written down some "
            "time ago, a cut end shows too; without one, leave it empty."
        )
        self.console_app.push_screen(
            Prompt("Check the chain against which head?", explain),
            lambda head: None if head is None else self._check(head.strip()),
        )

    def _check(self, head: str) -> None:
        self.say("busy", "looking at every event")
        self.ask(
            lambda station: station.fetch(Checked, "/v1/audit/check", expect_head=head), self.show_checked, group="act",
            patience=SLOW,
        )  # fmt: skip

    def show_checked(self, checked: Checked) -> None:
        self.checked, self.checked_at = checked, f"{self.console_app.now()[11:19]}Z"
        self._show_chain()
        if checked.ok:
            self.say("ok", "the chain holds; y copies the head, to be written down elsewhere")
        else:
            self.say("bad", "the audit log was changed: s saves this page")

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self.narrowed:
            self.narrowed = {}
            self.load()
            return True
        return False

    def copied(self) -> str:
        return self.checked.head if self.checked is not None else self.head.head

    def as_text(self) -> str:
        return "\n".join([self.query_one("#chain", Panel).as_text(), self.table.as_text()])


def _outcome(text: str) -> str:
    return "" if text in ("", *OUTCOMES) else "it is done, refused or failed"
