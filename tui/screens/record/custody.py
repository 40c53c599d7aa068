"""Custody: every bundle that has a record here, and through how many hands it went."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.audit import CustodyBundle
from appliance.api.common import Page
from bundles.io.display import safe
from tui.screens.paged import PagedScreen
from tui.screens.record.custody_acts import CustodyActs
from tui.terminal.texts import count, moment
from tui.widgets.panel import Panel
from tui.widgets.rows import RowList
from tui.widgets.table import Column, Table

_WAYS = {"in": "in", "out": "out"}


class CustodyScreen(PagedScreen, CustodyActs):
    name_of: ClassVar[str] = "custody"
    listed_at: ClassVar[str] = "/v1/custody"
    pages_of: ClassVar[type[Page[CustodyBundle]]] = Page[CustodyBundle]
    needs: ClassVar[str] = "custody"

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[CustodyBundle](
            look,
            "Custody records",
            (
                Column("bundle", lambda one: safe(one.id)),
                Column("way", lambda one: _WAYS.get(one.direction, "passed"), 6),
                Column("state", lambda one: look.state(one.state)[0] if one.state else "", 16,
                       role=lambda one: look.state(one.state)[1] if one.state else "plain"),
                Column("last", lambda one: moment(one.at), 16),
                Column("hands", lambda one: str(one.handovers), 5, right=True),
            ),
            key=lambda one: one.id,
            ident="custody",
            empty="no bundle came, went or passed through hands here yet",
        )  # fmt: skip
        yield Panel(look, ident="detail")

    @property
    def table(self) -> Table[CustodyBundle]:
        return self.query_one("#custody", Table)

    def moved(self, rows: RowList | None) -> None:
        one = self.table.current
        text = ""
        if one is not None:
            text = f"{safe(one.id)}: {count(one.handovers, 'hand-over')}; enter shows the record, h enters a hand-over"
        self.query_one("#detail", Panel).show([[(text, "plain")]])

    def bundle_named(self) -> str:
        return self.table.current.id if self.table.current else ""

    def do_open(self) -> None:
        if self.table.current is not None:
            self.console_app.open_further("custody_record", self.table.current.id)

    def copied(self) -> str:
        return self.bundle_named()
