"""Ledger: the streams, and which bundle of each came or went when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from bundles.display import safe
from tui.screens.base import StationScreen
from tui.station import LedgerRow, OutgoingBundle, Page, Stream
from tui.texts import moment
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table


class LedgerScreen(StationScreen):
    name_of: ClassVar[str] = "ledger"

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[LedgerRow, ...] = ()
        self.sent: Sequence[OutgoingBundle] = ()
        self.following: str | None = None

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[Stream](
            look,
            "Streams",
            (
                Column("stream", lambda one: safe(one.stream)),
                Column("way", lambda one: "carried in" if one.direction == "in" else "carried out", 11),
                Column("bundles", lambda one: str(one.entries), 7, right=True),
                Column("last", lambda one: f"{one.last_sequence:06d}", 6, right=True),
                Column("at", lambda one: moment(one.last_at), 16),
            ),
            key=lambda one: f"{one.direction} {one.stream}",
            ident="streams",
            empty="no bundle has come or gone yet",
        )
        yield Table[LedgerRow](
            look,
            "Bundles",
            (
                Column("state", lambda row: self._state(row)[0], 16, role=lambda row: self._state(row)[1]),
                Column("bundle", lambda row: safe(row.id)),
                Column("at", lambda row: moment(row.created), 16),
                Column("by", lambda row: safe(row.actor), 16, least=76),
            ),
            key=lambda row: str(row.entry),
            ident="entries",
            empty="nothing in this stream",
        )
        yield Panel(look, ident="detail")

    def _state(self, row: LedgerRow) -> tuple[str, str]:
        """The mark belongs to the last row of a bundle; earlier ones tell what it came through."""
        last = max((one.entry for one in self.entries.records if one.id == row.id), default=row.entry)
        return self.look.state(row.state) if row.entry == last else (f"     {safe(row.state)}", "plain")

    @property
    def streams(self) -> Table[Stream]:
        return self.query_one("#streams", Table)

    @property
    def entries(self) -> Table[LedgerRow]:
        return self.query_one("#entries", Table)

    def load(self) -> None:
        self.ask(lambda station: station.streams(), self.streams.show, group="streams")
        self.ask(lambda station: station.ledger(), self.show_ledger, group="ledger")
        self.ask(lambda station: station.bundles(), self.show_sent, group="bundles")

    def show_ledger(self, page: Page[LedgerRow]) -> None:
        self.rows, self.following = page.items, page.next
        self._show_entries()

    def show_sent(self, sent: Sequence[OutgoingBundle]) -> None:
        self.sent = sent
        self._show_entries()

    def _show_entries(self) -> None:
        stream = self.streams.current
        if stream is None:
            return
        rows = [row for row in self.rows if row.stream == stream.stream]
        if stream.direction == "out":
            rows = [
                LedgerRow(
                    entry=number,
                    stream=one.stream,
                    sequence=one.sequence,
                    digest=one.digest,
                    id=one.id,
                    state=one.state,
                    created=one.created,
                )
                for number, one in enumerate(self.sent)
                if one.stream == stream.stream
            ]
        wanted = self.filter_text
        self.entries.title = f"Bundles of {safe(stream.stream)}"
        self.entries.note = f'holding "{safe(wanted)}"' if wanted else ""
        self.entries.show([row for row in rows if wanted in f"{row.id} {row.state}"])

    def filter_changed(self, text: str) -> None:
        self._show_entries()

    def filter_target(self) -> RowList:
        return self.entries

    def moved(self, rows: RowList | None) -> None:
        if rows is self.streams:
            self._show_entries()
        self._detail()

    def _detail(self) -> None:
        row = self.item()
        lines: list[list[Span]] = [[("", "plain")]]
        if isinstance(row, LedgerRow):
            lines = [fact("digest", safe(row.digest or "none"), name_width=7)]
        elif isinstance(row, Stream):
            lines = [fact("digest", safe(row.last_digest), name_width=7)]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.entries.current if self.focused is self.entries else self.streams.current

    def do_open(self) -> None:
        row = self.item()
        if isinstance(row, Stream):
            self._show_entries()
            self.entries.focus()
        elif isinstance(row, LedgerRow):
            stream = self.streams.current
            if stream is not None and stream.direction == "in":
                self.console_app.open_thing("intake", row.id)
            else:
                self.say("note", f"{row.id} was carried out; its job is kept under Jobs")

    def do_next_pane(self) -> None:
        target: RowList = self.streams if self.focused is self.entries else self.entries
        target.focus()

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self.focused is self.entries:
            self.streams.focus()
            return True
        return False

    def copied(self) -> str:
        row = self.item()
        return (
            row.digest or row.id if isinstance(row, LedgerRow) else row.last_digest if isinstance(row, Stream) else ""
        )
