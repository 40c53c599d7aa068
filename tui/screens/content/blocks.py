"""Blocked: digests that are shown to nobody, why, and where they went before; shown again from here."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from textual.app import ComposeResult
from textual.containers import Vertical

from appliance.api.common import Page
from appliance.api.content import Block, Unblocked
from bundles.io.display import safe
from tui.dialogs.confirm import Confirm
from tui.screens.station_screen import PAGE, StationScreen
from tui.terminal.texts import moment
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table


class BlocksScreen(StationScreen):
    name_of: ClassVar[str] = "blocks"

    def body(self) -> ComposeResult:
        with Vertical():
            yield Table[Block](
                self.look,
                "Blocked digests",
                (
                    Column("why", lambda one: safe(one.why)),
                    Column("digest", lambda one: safe(one.digest[:19]), 19),
                    Column("by", lambda one: safe(one.actor), 14),
                    Column("since", lambda one: moment(one.created), 16, least=76),
                ),
                key=lambda one: one.digest,
                ident="blocks",
                empty="nothing is blocked: Block on an artifact's page does it",
                also=lambda one: safe(one.digest),
            )
        yield Panel(self.look, ident="detail")

    @property
    def table(self) -> Table[Block]:
        return self.query_one("#blocks", Table)

    def load(self) -> None:
        self.ask(
            lambda station: station.fetch(Page[Block], "/v1/blocks", limit=PAGE), self._show_blocks, places=[self.table]
        )

    def _show_blocks(self, page: Page[Block]) -> None:
        self.table.show(page.items, page.next)
        self.moved(None)

    def on_table_more(self, message: Table.More) -> None:
        self.ask(
            lambda station: station.fetch(Page[Block], "/v1/blocks", limit=PAGE, after=message.after),
            lambda page: self.table.extend(page.items, page.next),
            group="more",
        )

    def filter_changed(self, text: str) -> None:
        self.narrow(self.table, text)

    def moved(self, rows: RowList | None) -> None:
        one = self.table.current
        lines: list[list[Span]] = [[("", "plain")]]
        if one is not None:
            lines = [fact("digest", safe(one.digest), name_width=7), fact("why", safe(one.why), name_width=7)]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.table.current

    def do_recall(self) -> None:
        one = self.table.current
        if one is not None:
            self.console_app.open_further("recall", one.digest)

    def do_open(self) -> None:
        self.do_recall()

    def do_unblock(self) -> None:
        one = self.table.current
        if one is None:
            return
        explain = (
            f"Blocked by {safe(one.actor)}: {safe(one.why)}\nIt is shown again wherever it was released or pushed, "
            "from the next request on. The audit log keeps who did it."
        )
        question = Confirm(f"Unblock {safe(one.digest)}?", explain)
        self.console_app.push_screen(question, lambda yes: self._unblock(one.digest) if yes else None)

    def _unblock(self, digest: str) -> None:
        path = f"/v1/blocks/{quote(digest, safe=':')}"
        self.ask(lambda station: station.remove(Unblocked, path), self._unblocked, group="act")

    def _unblocked(self, answer: Unblocked) -> None:
        self.load()
        self.say("ok", f"unblocked: {answer.digest} is shown again where it was")

    def copied(self) -> str:
        return self.table.current.digest if self.table.current else ""
