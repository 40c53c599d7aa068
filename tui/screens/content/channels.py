"""Channels: what stands in each stage, since when, who put it there, and whether it would pass now; promoted and rolled
back from here."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical

from appliance.api.common import Page
from appliance.api.promotion import Channel, PromotionDone
from bundles.io.display import safe
from tui.dialogs.prompt import Prompt, needed
from tui.screens.station_screen import PAGE, StationScreen
from tui.terminal.texts import moment
from tui.widgets.panel import Panel
from tui.widgets.rows import RowList
from tui.widgets.table import Column, Table
from tui.wording.channels import channel_facts, gate_look, moved_told


class ChannelsScreen(StationScreen):
    name_of: ClassVar[str] = "channels"

    def body(self) -> ComposeResult:
        with Vertical():
            yield Table[Channel](
                self.look,
                "Channels",
                (
                    Column("channel", lambda one: safe(one.reference)),
                    Column("gate", lambda one: gate_look(one)[0], 12),
                    Column("since", lambda one: moment(one.since) if one.since else "-", 16),
                    Column("by", lambda one: safe(one.actor or "-"), 12, least=100),
                    Column("digest", lambda one: safe(one.digest[:19] or "gone"), 19, least=120),
                ),
                key=lambda one: one.reference,
                ident="channels",
                empty="nothing was promoted yet: lockgate repo promote REF --to STAGE",
                also=lambda one: safe(one.digest),
            )
        yield Panel(self.look, ident="detail")

    @property
    def table(self) -> Table[Channel]:
        return self.query_one("#channels", Table)

    def load(self) -> None:
        self.ask(
            lambda station: station.fetch(Page[Channel], "/v1/channels", limit=PAGE),
            self._show_channels,
            places=[self.table],
            needs="pull",
        )

    def _show_channels(self, page: Page[Channel]) -> None:
        self.table.show(page.items, page.next)
        self.moved(None)

    def on_table_more(self, message: Table.More) -> None:
        self.ask(
            lambda station: station.fetch(Page[Channel], "/v1/channels", limit=PAGE, after=message.after),
            lambda page: self.table.extend(page.items, page.next),
            group="more",
        )

    def filter_changed(self, text: str) -> None:
        self.narrow(self.table, text)

    def moved(self, rows: RowList | None) -> None:
        one = self.table.current
        self.query_one("#detail", Panel).show([[("", "plain")]] if one is None else channel_facts(one))

    def item(self) -> object | None:
        return self.table.current

    def do_open(self) -> None:
        one = self.table.current
        if one is not None and one.digest:
            self.console_app.open_thing("artifact", one.reference)

    def do_promote(self) -> None:
        one = self.table.current
        if one is None:
            return
        prompt = Prompt(
            f"Promote {safe(one.reference)}: to which stage?",
            "The same digest, with its evidence, where it passes the gates there.", check=needed,
        )  # fmt: skip
        self.console_app.push_screen(prompt, lambda stage: self._promote_why(one, stage) if stage else None)

    def _promote_why(self, one: Channel, stage: str) -> None:
        prompt = Prompt(f"Promote {safe(one.reference)} to {safe(stage)}: why?", "It is kept with the promotion.")
        self.console_app.push_screen(
            prompt, lambda why: self._act("promotions", source=one.reference, to=stage, reason=why) if why is not None
            else None,
        )  # fmt: skip

    def do_roll_back(self) -> None:
        one = self.table.current
        if one is None:
            return
        prompt = Prompt(
            f"Roll {safe(one.reference)} back: why?",
            "It goes back to what was promoted before, where that passes the policy as it is now.",
        )
        self.console_app.push_screen(
            prompt, lambda why: self._act("rollbacks", channel=one.reference, reason=why) if why is not None else None
        )

    def _act(self, what: str, **body: str) -> None:
        self.ask(lambda station: station.send(PromotionDone, f"/v1/{what}", body), self._done, group="act")

    def _done(self, answer: PromotionDone) -> None:
        self.load()
        self.say("ok", moved_told(answer))

    def copied(self) -> str:
        return self.table.current.digest if self.table.current else ""
