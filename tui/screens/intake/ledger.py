"""Ledger: the streams, which bundle of each came or went when, and what is out of the ordinary with how to go on."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from typing import ClassVar
from urllib.parse import quote

from textual.app import ComposeResult

from appliance.api.bundles import OutgoingBundle
from appliance.api.common import Payload
from appliance.api.intake import ClockFloor, LedgerRow, Override, Stream
from appliance.api.jobs import Job
from appliance.api.trust import TrustRule
from bundles.io.display import safe
from tui.decisions.signing import NO_KEY, Offer, release_keys
from tui.dialogs.form import Field, Form
from tui.dialogs.prompt import needed
from tui.screens.trust.signing import SigningScreen
from tui.station.port import Station
from tui.station.troubles import ended_jobs
from tui.terminal.texts import moment
from tui.widgets.mark_rows import MarkRows
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.streams import standing, standing_out


class LedgerScreen(SigningScreen):
    name_of: ClassVar[str] = "ledger"

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[LedgerRow, ...] = ()
        self.sent: Sequence[OutgoingBundle] = ()
        self.jobs: tuple[Job, ...] = ()
        self.rules: Sequence[TrustRule] = ()
        self.clock: ClockFloor | None = None

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[Stream](
            look,
            "Streams",
            (
                Column("stream", lambda one: safe(one.stream)),
                Column("way", lambda one: "carried in" if one.direction == "in" else "carried out", 11),
                Column("bundles", lambda one: str(one.bundles), 7, right=True),
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
                Column("state", lambda row: look.state(row.state)[0], 16, role=lambda row: look.state(row.state)[1]),
                Column("bundle", lambda row: safe(row.id)),
                Column("at", lambda row: moment(row.created), 16),
                Column("by", lambda row: safe(row.actor), 16, least=76),
            ),
            key=lambda row: str(row.entry),
            ident="entries",
            empty="nothing in this stream",
        )
        yield MarkRows(look, "How it stands", ident="standing", empty="no stream is chosen")
        yield Panel(look, ident="detail")

    @property
    def streams(self) -> Table[Stream]:
        return self.query_one("#streams", Table)

    @property
    def entries(self) -> Table[LedgerRow]:
        return self.query_one("#entries", Table)

    def load(self) -> None:
        standing = [self.query_one("#standing", MarkRows)]
        self.ask(lambda station: station.streams(), self.show_streams, group="streams", places=[self.streams],
                 needs="custody")  # fmt: skip
        self.ask(every_row, self.show_ledger, group="ledger", places=[self.entries, *standing], needs="custody")
        self.ask(lambda station: station.bundles(), self.show_sent, group="bundles", places=[self.entries],
                 needs="custody")  # fmt: skip
        self.ask(ended_jobs, self.show_refused, group="refused")
        self.ask(lambda station: station.rules(), self.show_rules, group="rules")
        self.ask(lambda station: station.fetch(ClockFloor, "/v1/clock"), self.show_clock, group="clock",
                 places=standing, needs="custody")  # fmt: skip

    def show_streams(self, streams: Sequence[Stream]) -> None:
        self.streams.show(streams)
        self._show_entries()

    def show_refused(self, jobs: tuple[Job, ...]) -> None:
        self.jobs = jobs
        self._show_standing()

    def show_rules(self, rules: Sequence[TrustRule]) -> None:
        self.rules = rules
        self._show_standing()

    def show_clock(self, clock: ClockFloor) -> None:
        self.clock = clock
        self._show_standing()

    def _show_standing(self) -> None:
        stream = self.streams.current
        if stream is None:
            return
        rows = self.query_one("#standing", MarkRows)
        rows.title = f"How {safe(stream.stream)} stands"
        if stream.direction == "in":
            rows.show(standing(stream, self.rows, self.jobs, self.rules, self.clock))
        else:
            rows.show(standing_out(stream, self.sent))

    def show_ledger(self, rows: tuple[LedgerRow, ...]) -> None:
        self.rows = rows
        self._show_entries()

    def show_sent(self, sent: Sequence[OutgoingBundle]) -> None:
        self.sent = sent
        self._show_entries()

    def _show_entries(self) -> None:
        stream = self.streams.current
        if stream is None:
            return
        rows = last_rows([row for row in self.rows if row.stream == stream.stream])
        if stream.direction == "out":
            rows = [
                LedgerRow(
                    entry=number,
                    stream=one.stream,
                    sequence=one.sequence,
                    digest=one.digest,
                    id=one.id,
                    state=one.standing or one.state,
                    created=one.since or one.created,
                )
                for number, one in enumerate(self.sent)
                if one.stream == stream.stream
            ]
        self._show_standing()
        self.entries.title = f"Bundles of {safe(stream.stream)}"
        self.entries.show(rows)

    def filter_changed(self, text: str) -> None:
        self.narrow(self.entries, text)

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
            came = [one for one in self.rows if one.id == row.id and one.stream == row.stream]
            steps = ", ".join(f"{safe(one.state)} {moment(one.created)}" for one in came)
            lines = [fact("digest", safe(row.digest or "none"), name_width=7)]
            lines += [fact("steps", steps, name_width=7)] if steps else []
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
                self.say("note", f"{row.id} is {row.state}; its job is kept under Jobs")

    def do_next_pane(self) -> None:
        lists: tuple[RowList, ...] = (self.streams, self.entries, self.query_one("#standing", MarkRows))
        place = next((at for at, rows in enumerate(lists) if rows is self.focused), 0)
        lists[(place + 1) % len(lists)].focus()

    def go_back(self) -> bool:
        if super().go_back():
            return True
        if self.focused is not self.streams:
            self.streams.focus()
            return True
        return False

    def do_floor(self) -> None:
        stream = self.streams.current
        if stream is None:
            return
        fields = (
            Field("sequence", "after number", hint="the number it follows, as 12", check=_number),
            Field("digest", "its digest", hint="of that bundle, where it is known: sha256:..."),
            Field("floor", "or the clock", hint="instead: no bundle so far was made after 2026-05-04T00:00:00Z"),
            Field("why", "why", hint="the reason, which is kept in the ledger", check=needed),
        )
        explain = (
            "Two people say the same, each with their own release key; the second one's word does it. Numbers below "
            "the floor that never came are then refused for ever."
        )
        self.console_app.push_screen(
            Form(f"Set the floor of {safe(stream.stream)}", fields, explain),
            lambda answers: self._floor_keys(stream.stream, answers) if answers else None,
        )

    def _floor_keys(self, stream: str, answers: dict[str, str]) -> None:
        if bool(answers["sequence"]) == bool(answers["floor"]):
            self.say("bad", "a floor is a number or a time: give one of them")
            return
        self.ask(release_keys, partial(self._sign_floor, stream, answers), group="act")

    def _sign_floor(self, stream: str, answers: dict[str, str], offer: Offer) -> None:
        if not offer.ids:
            self.say("bad", f"no key is {offer.wanted}: {NO_KEY}")
            return
        path = f"/v1/streams/{quote(stream, safe='')}/override"
        said = {**answers, "sequence": answers["sequence"] or "0"}
        target = (
            f"after number {said['sequence']}" if not said["floor"] else f"with the clock's floor at {said['floor']}"
        )

        async def fetch(station: Station, keyid: str) -> bytes:
            return base64.b64decode((await station.fetch(Payload, path, keyid=keyid, **said)).payload)

        async def send(station: Station, keyid: str, payload: bytes, signature: bytes) -> Override:
            body = {
                "payload": base64.b64encode(payload).decode(),
                "keyid": keyid,
                "signature": base64.b64encode(signature).decode(),
            }
            return await station.send(Override, path, body)

        explain = f"You say that {safe(stream)} continues {safe(target)}.\nReason: {safe(said['why'])}"
        self.sign(f"Floor of {safe(stream)}", offer, explain, fetch, send, partial(self._floor_said, stream))

    def _floor_said(self, stream: str, said: Override) -> None:
        self.load()
        if said.people < said.needed and said.differing:
            other = said.differing[0]
            target = other.floor or f"{other.sequence}{f' {other.digest}' if other.digest else ''}"
            self.say("bad", f"{stream}: {safe(other.owner)} said {safe(target)}; the two must say the same")
        elif said.people < said.needed:
            self.say("need", f"{stream}: {said.people} of {said.needed} people said so; a second one says the same now")
        else:
            self.say("ok", f"the floor of {stream} is set")

    def copied(self) -> str:
        row = self.item()
        return (
            row.digest or row.id if isinstance(row, LedgerRow) else row.last_digest if isinstance(row, Stream) else ""
        )


def last_rows(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    """Each bundle once, by the row that says where it stands, in the ledger's order; a floor is a row of its own."""
    last = {row.id if row.state != "reset" else f"\0{row.entry}": row for row in rows}
    return sorted(last.values(), key=lambda row: row.entry)


async def every_row(station: Station) -> tuple[LedgerRow, ...]:
    """The whole ledger: what never came is found by what did, so that half of it would name numbers that are there."""
    rows: list[LedgerRow] = []
    after: str | None = None
    while True:
        page = await station.ledger(limit=1000, after=after)
        rows += page.items
        after = page.next
        if after is None:
            return tuple(rows)


def _number(text: str) -> str:
    return "" if not text or (text.isdecimal() and int(text) > 0) else "write a number, as 12"
