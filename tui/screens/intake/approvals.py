"""Approvals: every bundle that waits for people, whose approval is wanted, and what was found in it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.common import Page
from appliance.api.intake import EntrySummary, Pending
from bundles.io.display import safe
from tui.screens.intake.deciding import DecidingScreen
from tui.screens.paged import PagedScreen
from tui.terminal.texts import size
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.approvals import found_line, wanted


class ApprovalsScreen(PagedScreen, DecidingScreen):
    name_of: ClassVar[str] = "approvals"
    listed_at: ClassVar[str] = "/v1/approvals"
    pages_of: ClassVar[type[Page[Pending]]] = Page[Pending]
    needs: ClassVar[str] = "quarantine"

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[Pending](
            look,
            "Waiting for people",
            (
                Column("waits for", lambda one: f"{look.mark('need')} {safe(one.waits_for)}", 15,
                       role=lambda one: "need"),
                Column("bundle", lambda one: safe(one.id)),
                Column("approved", lambda one: f"{one.approvals} of {one.needed}", 8),
                Column("found", lambda one: look.mark(found_line(one)[0]), 5, role=lambda one: found_line(one)[0]),
                Column("label", lambda one: safe(one.classification) or "none", 12, least=100),
                Column("bytes", lambda one: size(one.bytes), 9, right=True),
                Column("brought by", lambda one: safe(one.importer), 16, least=100),
                Column("received", lambda one: safe(one.received[:10]), 10, least=100),
            ),
            key=lambda one: one.digest,
            ident="pending",
            empty="nothing waits for anybody",
        )  # fmt: skip
        yield Panel(look, ident="detail")

    @property
    def table(self) -> Table[Pending]:
        return self.query_one("#pending", Table)

    def moved(self, rows: RowList | None) -> None:
        entry = self.table.current
        lines: list[list[Span]] = [[("", "plain")]]
        if entry is not None:
            role, found = found_line(entry)
            given = "; ".join(safe(one.owner) for one in entry.people) or "nobody yet"
            lines = [
                fact("wanted", wanted(entry), "need", name_width=9),
                fact("approved", given, name_width=9),
                fact("found", f"{self.look.mark(role)} {found}", role, name_width=9),
            ]
        self.query_one("#detail", Panel).show(lines)

    def bundle_now(self) -> EntrySummary | None:
        return self.table.current

    def do_open(self) -> None:
        if self.table.current is not None:
            self.console_app.open_further("approval", self.table.current.id)

    def copied(self) -> str:
        return self.table.current.digest if self.table.current else ""
