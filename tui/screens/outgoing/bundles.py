"""Bundles: the one home of what is carried, out and in; where each stands, who acted on it, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar
from urllib.parse import quote

from textual.app import ComposeResult
from textual.containers import Vertical

from appliance.api.audit import CustodyRecord
from appliance.api.bundles import Medium, OutgoingBundle
from appliance.api.common import Page
from appliance.api.intake import IntakeEntry
from bundles.io.display import safe
from tui.decisions.building import check_medium, check_path
from tui.dialogs.form import Field, Form
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import moment
from tui.widgets.line_rows import LineRows
from tui.widgets.nothing import Known
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.bundles import Carried, history, incoming, media_of, outgoing

BESIDE = 110
"""Columns from which a bundle's history stands beside the lists."""
_NAMES = 7


class BundlesScreen(StationScreen):
    name_of: ClassVar[str] = "bundles"
    beside_from: ClassVar[int] = 160
    """The history has the place beside the lists; both have room from here on."""
    AUTO_FOCUS = "Table"

    def __init__(self) -> None:
        super().__init__()
        self._told_of: tuple[str, str] | None = None
        """The bundle, and where it stood, whose history is shown or asked for."""

    def body(self) -> ComposeResult:
        side = self.console_app.status.side if self.console_app.status is not None else "inside"
        tables = [self._table("Outgoing", "out", "no bundle was made here yet: New bundle makes one"),
                  self._table("Incoming", "in", "nothing was carried in yet: Intake imports one")]  # fmt: skip
        with Vertical(id="beside"):
            with Vertical(id="lists"):
                yield from tables if side == "outside" else reversed(tables)
            yield LineRows(self.look, "History", ident="history", empty="nothing is on record")
        yield Panel(self.look, ident="detail")

    def _table(self, title: str, ident: str, empty: str) -> Table[Carried]:
        look = self.look
        return Table[Carried](
            look,
            title,
            (
                Column("state", lambda one: look.state(one.word)[0], 16, role=lambda one: look.state(one.word)[1]),
                Column("bundle", lambda one: safe(one.id)),
                Column("to" if ident == "out" else "from", lambda one: safe(one.other), 12),
                Column("since", lambda one: moment(one.since), 16),
            ),
            key=lambda one: one.id,
            ident=ident,
            empty=empty,
            also=lambda one: safe(f"{one.digest} {one.why} {' '.join(one.media)}"),
        )

    @property
    def sent(self) -> Table[Carried]:
        return self.query_one("#out", Table)

    @property
    def came(self) -> Table[Carried]:
        return self.query_one("#in", Table)

    @property
    def table(self) -> Table[Carried]:
        """The list that was looked at last."""
        found = self.last_list if isinstance(self.last_list, Table) else None
        return found if found is not None else self.query(Table).first()

    def opened(self) -> None:
        self.query_one("#history", LineRows).stands(Known.UNKNOWN, "no bundle is chosen")

    def load(self) -> None:
        if self.query_one("#history", LineRows).known is not Known.SHOWN:
            self._told_of = None  # the station did not answer
        self.ask(lambda station: station.bundles(), self._show_sent, group="out", places=[self.sent], needs="custody")
        self.ask(lambda station: station.intake(), self._show_came, group="in", places=[self.came], needs="quarantine")

    def _show_sent(self, bundles: Sequence[OutgoingBundle]) -> None:
        self.sent.show([outgoing(one) for one in bundles])
        self.moved(None)

    def _show_came(self, page: Page[IntakeEntry]) -> None:
        self.came.show([incoming(one) for one in page.items], page.next)
        self.moved(None)

    def on_table_more(self, message: Table.More) -> None:
        self.ask(
            lambda station: station.intake(after=message.after),
            lambda page: self.came.extend([incoming(one) for one in page.items], page.next),
            group="more",
        )

    def filter_changed(self, text: str) -> None:
        for table in (self.sent, self.came):
            self.narrow(table, text)

    def rearrange(self) -> None:
        self.query_one("#beside").set_class(self.size.width >= BESIDE, "wide")

    def moved(self, rows: RowList | None) -> None:
        one = self.table.current
        lines: list[list[Span]] = [[("", "plain")]]
        if one is not None:
            role, text = one.next
            lines = [[(f"{self.look.mark(role)} Next: {text}", role)]]
            if one.why:
                lines.append(fact("why", safe(one.why), name_width=_NAMES))
            if one.people:
                lines.append(fact("people", one.people, name_width=_NAMES))
            if self.table is self.sent:
                lines.append(fact("media", media_of(one), name_width=_NAMES))
        self.query_one("#detail", Panel).show(lines)
        self._ask_history(one)

    def _ask_history(self, one: Carried | None) -> None:
        """Who acted on the bundle under the cursor; asked once as long as it stands where it stood."""
        wanted = (one.id, f"{one.word} {one.since}") if one is not None else None
        if wanted is None or wanted == self._told_of:
            return
        self._told_of = wanted
        rows = self.query_one("#history", LineRows)
        path = f"/v1/bundles/{quote(wanted[0], safe='')}/custody"
        self.ask(lambda station: station.fetch(CustodyRecord, path), partial(self._show_history, wanted),
                 group="history", places=[rows], needs="custody")  # fmt: skip

    def _show_history(self, wanted: tuple[str, str], record: CustodyRecord) -> None:
        if wanted != self._told_of:
            return
        lines: list[list[Span]] = []
        for when, what in history(record.timeline):
            lines += [[(when, "name")], [("  ", "plain"), (what, "plain")]]
        self.query_one("#history", LineRows).show(lines, f"History of {safe(wanted[0])}")

    def item(self) -> object | None:
        return self.table.current

    def do_open(self) -> None:
        one = self.table.current
        if one is not None:
            self.console_app.open_thing("bundle" if self.table is self.sent else "intake", one.id)

    def do_recut(self) -> None:
        """Ask which medium of the bundle failed, and where it is written again."""
        one = self.table.current
        if one is not None:
            self.ask(lambda station: station.media(), lambda media: self._ask_medium(one, media), group="act")

    def _ask_medium(self, one: Carried, media: Sequence[Medium]) -> None:
        free = next((safe(medium.path) for medium in media if not medium.read_only), "")
        fields = (
            Field("medium", "medium", "1" if len(one.media) == 1 else "", "its number, as on its label", check_medium),
            Field("out", "written to", free, "the folder that a medium is mounted at", check_path, path=True),
        )
        explain = f"Nothing is signed anew; its other media stay good. It was written to {media_of(one)}."
        self.console_app.push_screen(
            Form(f"Recut a medium of {safe(one.id)}", fields, explain),
            lambda said: self._recut(one.id, said) if said else None,
        )

    def _recut(self, bundle: str, said: Mapping[str, str]) -> None:
        params = {"id": bundle, "media": [int(said["medium"])], "out": [said["out"]]}
        self.ask(lambda station: station.start_job("recut", params), self.console_app.open_begun, group="act")

    def copied(self) -> str:
        one = self.table.current
        return one.digest if one is not None else ""
