"""Deltas: what each inside is known to hold and since when, what was asked for again, and what is kept here for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from textual.app import ComposeResult

from appliance.api.bundles import Delta, MadeReceipt, TakenStatement, Want
from appliance.api.common import Page
from appliance.api.jobs import Job
from bundles.io.display import safe
from tui.decisions.building import check_path
from tui.dialogs.path_prompt import PathPrompt
from tui.dialogs.prompt import Prompt, needed
from tui.guides.new_bundle import LAST
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import count, moment, size, words
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.statements import taken_statement


def known_by(delta: Delta) -> str:
    """By what the other end is known to hold something."""
    if delta.receipt is None:
        return f"sequence {delta.last_sequence}, assumed" if delta.last_sequence else "nothing was sent"
    if not delta.inventory:
        return f"receipt {delta.receipt}, no inventory"
    return f"receipt {delta.receipt}"


class DeltasScreen(StationScreen):
    name_of: ClassVar[str] = "deltas"

    def __init__(self) -> None:
        super().__init__()
        self.wants: tuple[Want, ...] = ()

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[Delta](
            look,
            "What each inside is known to hold",
            (
                Column("stream", lambda one: safe(one.stream)),
                Column("sent", lambda one: str(one.last_sequence), 6, right=True),
                Column("known by", known_by, 24),
                Column("since", lambda one: moment(one.receipt_created or one.last_at), 16),
                Column("holds", lambda one: size(_held(one)), 9, right=True),
            ),
            key=lambda one: one.stream,
            ident="deltas",
            empty="no bundle was sent to anywhere yet",
        )
        yield Table[MadeReceipt](
            look,
            "Receipts of this station, and what is kept for deltas on them",
            (
                Column("receipt", lambda one: str(one.number), 7, right=True),
                Column("made", lambda one: moment(one.created), 16),
                Column("kept", lambda one: f"{count(one.pinned_blobs, 'blob')}, {size(one.pinned_bytes)}", 24),
                Column("stood on by", lambda one: words(one.streams)),
            ),
            key=lambda one: str(one.number),
            ident="receipts",
            empty="none was made: e writes one to carry back",
        )
        yield Panel(look, ident="detail")

    @property
    def table(self) -> Table[Delta]:
        return self.query_one("#deltas", Table)

    @property
    def receipts(self) -> Table[MadeReceipt]:
        return self.query_one("#receipts", Table)

    def load(self) -> None:
        self.ask(lambda station: station.fetch(Page[Want], "/v1/wants"), self._show_wants, group="wants",
                 needs="build")  # fmt: skip
        self.ask(lambda station: station.fetch(Page[Delta], "/v1/deltas"), self._show_deltas, group="deltas",
                 places=[self.table], needs="build")  # fmt: skip
        self.ask(lambda station: station.fetch(Page[MadeReceipt], "/v1/kept", limit=200), self._show_receipts,
                 group="receipts", places=[self.receipts], needs="receipt")  # fmt: skip

    def _show_wants(self, page: Page[Want]) -> None:
        self.wants = page.items
        self._detail()

    def _show_deltas(self, page: Page[Delta]) -> None:
        self.table.show(page.items)
        self._detail()

    def _show_receipts(self, page: Page[MadeReceipt]) -> None:
        self.receipts.show(page.items, page.next)
        self._detail()

    def on_table_more(self, message: Table.More) -> None:
        after = message.after
        self.ask(
            lambda station: station.fetch(Page[MadeReceipt], "/v1/kept", limit=200, after=after),
            lambda page: self.receipts.extend(page.items, page.next),
            group="more",
        )

    def moved(self, rows: RowList | None) -> None:
        self._detail()

    def _detail(self) -> None:
        item = self.item()
        lines: list[list[Span]] = [[("", "plain")]]
        if isinstance(item, Delta):
            lines = _delta_lines(item, [want for want in self.wants if want.stream == item.stream])
        elif isinstance(item, MadeReceipt):
            lines = [fact("digest", safe(item.digest), name_width=10)]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.receipts.current if self.focused is self.receipts else self.table.current

    def do_next_pane(self) -> None:
        target: RowList = self.table if self.focused is self.receipts else self.receipts
        target.focus()

    def copied(self) -> str:
        item = self.item()
        return item.digest if isinstance(item, MadeReceipt) else item.stream if isinstance(item, Delta) else ""

    def do_delta_void(self) -> None:
        delta = self.table.current
        if delta is None:
            return
        bundle = f"{delta.stream}-{delta.last_sequence:06d}"
        path = f"/v1/bundles/{quote(bundle, safe='')}/void"

        def answered(why: str | None) -> None:
            if why:
                self.ask(lambda station: station.send(dict[str, Any], path, {"why": why}), voided, group="act")

        def voided(answer: dict[str, Any]) -> None:
            self.load()
            gone = words(str(one) for one in answer.get("voided", ()))
            self.say("ok", f"void: {gone}; the next bundle carries it again")

        explain = "The inside is then not taken to hold it, and the next bundle says that its number is void."
        self.console_app.push_screen(Prompt(f"{safe(bundle)} is lost: why?", explain, check=needed), answered)

    def do_delta_build(self) -> None:
        delta = self.table.current
        if delta is not None:
            site = delta.stream.partition(".")[2]
            self.console_app.set_draft(self.console_app.draft.change(to=site, since=LAST))
            self.console_app.show_root("new_bundle")

    def do_delta_receipt(self) -> None:
        explain = "A new file or folder on the medium that goes back. It is signed by this station's receipt key."

        def answered(path: str | None) -> None:
            if path:
                params = {"out": path}
                self.ask(lambda station: station.start_job("receipt", params), self._begun, group="act")

        self.console_app.push_screen(PathPrompt("Write the receipt where?", explain, check=check_path), answered)

    def do_delta_take(self) -> None:
        """Record what came back: its signature is checked by the station, and an older one is refused as a replay."""
        explain = "Its file on the medium that came back. It is recorded once; an older one after it is refused."
        prompt = PathPrompt("Take in which receipt or want-list?", explain, check=check_path)
        self.console_app.push_screen(prompt, lambda path: self._take(path) if path else None)

    def _take(self, path: str) -> None:
        self.ask(lambda station: station.take_statement(path), self._taken, group="act")

    def _taken(self, taken: TakenStatement) -> None:
        self.load()
        self.say(*taken_statement(taken))

    def _begun(self, job: Job) -> None:
        self.console_app.open_begun(job)


def _held(delta: Delta) -> int:
    """Bytes that the other end is taken to hold: confirmed by its receipt's list, else what was carried there."""
    return delta.confirmed_bytes if delta.inventory else delta.carried_bytes


def _delta_lines(delta: Delta, wants: Sequence[Want]) -> list[list[Span]]:
    if delta.receipt is None:
        said = "no receipt came back: a delta assumes that every bundle arrived"
    else:
        up_to = "" if delta.confirmed_sequence is None else f", up to bundle {delta.confirmed_sequence}"
        said = f"number {delta.receipt} of {moment(delta.receipt_created)}, read {moment(delta.receipt_taken)}{up_to}"
    confirmed = f"{count(delta.confirmed_blobs, 'blob')}, {size(delta.confirmed_bytes)}" if delta.inventory else "none"
    carried = f"{count(delta.carried_blobs, 'blob')}, {size(delta.carried_bytes)}"
    listed = "; ".join(f"{safe(want.bundle)} ({moment(want.taken)})" for want in wants)
    return [
        fact("receipt", said, name_width=10),
        fact("confirmed", f"{confirmed}; carried there in all: {carried}", name_width=10),
        fact("wanted", listed or (f"{delta.want_lists} want-lists" if delta.want_lists else "nothing"), name_width=10),
    ]
