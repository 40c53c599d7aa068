"""Intake: the bundles that were carried in, and what each of them waits for."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.common import Page
from appliance.api.intake import IntakeEntry
from bundles.io.display import safe
from tui.screens.intake.deciding import DecidingScreen
from tui.terminal.texts import number, size
from tui.widgets.panel import Panel
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.checklists import next_step

LONG = 24
"""A bundle's id longer than this may be cut in its column, and is shown whole below the list."""


class IntakeScreen(DecidingScreen):
    name_of: ClassVar[str] = "intake"

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[IntakeEntry](
            look,
            "Intake",
            (
                Column(
                    "state",
                    lambda one: look.state(one.standing or one.state)[0],
                    16,
                    role=lambda one: look.state(one.standing or one.state)[1],
                ),
                Column("bundle", lambda one: safe(one.id)),
                Column("approved", lambda one: f"{one.approvals} of {one.needed}", 8),
                Column("bytes", lambda one: size(one.bytes), 9, right=True, order=lambda one: one.bytes),
                Column("received", lambda one: safe(one.received[:10]), 10),
                Column("at", lambda one: safe(one.received[11:16]), 5, least=96),
                Column(
                    "artifacts",
                    lambda one: number(one.artifacts),
                    9,
                    right=True,
                    least=96,
                    order=lambda one: one.artifacts,
                ),
            ),
            key=lambda one: one.digest,
            ident="intake",
            empty="nothing was carried in yet: i imports a bundle from a medium or a folder",
            also=lambda one: safe(f"{one.digest} {one.received}"),
        )
        yield Panel(look, ident="detail")

    @property
    def table(self) -> Table[IntakeEntry]:
        return self.query_one("#intake", Table)

    def load(self) -> None:
        self.ask(lambda station: station.intake(), self.show_intake, places=[self.table], needs="quarantine")

    def show_intake(self, page: Page[IntakeEntry]) -> None:
        self.table.show(page.items, page.next)

    def filter_changed(self, text: str) -> None:
        self.narrow(self.table, text)

    def on_table_more(self, message: Table.More) -> None:
        self.ask(
            lambda station: station.intake(after=message.after),
            lambda page: self.table.extend(page.items, page.next),
            group="more",
        )

    def moved(self, rows: RowList | None) -> None:
        entry = self.table.current
        if entry is not None:
            role, text = next_step(entry)
            name = [[(safe(entry.id), "title")]] if len(entry.id) > LONG else []
            lines: list[list[Span]] = [*name, [(f"{self.look.mark(role)} {text}", role)]]
            self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.table.current

    def bundle_now(self) -> IntakeEntry | None:
        return self.table.current

    def do_open(self) -> None:
        if self.table.current is not None:
            self.console_app.open_thing("intake", self.table.current.id)

    def copied(self) -> str:
        return self.table.current.digest if self.table.current else ""
