"""Certificates: those that clients meet, until when they are good and for which names; new files are taken up here."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.common import Page
from appliance.api.status import Certificate
from bundles.io.display import safe
from tui.dialogs.confirm import Confirm
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import count, moment, words
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.certificates import role_of

_NAMES = 7


class CertificatesScreen(StationScreen):
    name_of: ClassVar[str] = "certificates"

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[Certificate](
            look,
            "Certificates",
            (
                Column("certificate", lambda one: f"{look.mark(role_of(one))} {safe(one.name)}", 16, role=role_of),
                Column("until", lambda one: moment(one.not_after), 16),
                Column("left", lambda one: count(one.days, "day"), 10, right=True, order=lambda one: one.days),
                Column("names", lambda one: words(one.names) if one.names else "-"),
            ),
            key=lambda one: one.name,
            ident="certificates",
            empty="an open station has none: lockgate close makes them",
        )
        yield Panel(look, ident="detail")

    @property
    def table(self) -> Table[Certificate]:
        return self.query_one("#certificates", Table)

    def load(self) -> None:
        self.ask(lambda station: station.fetch(Page[Certificate], "/v1/tls"), self._show, places=[self.table])

    def _show(self, page: Page[Certificate]) -> None:
        self.table.show(page.items)
        self.moved(None)

    def moved(self, rows: RowList | None) -> None:
        one = self.table.current
        lines: list[list[Span]] = [[("", "plain")]]
        if one is not None:
            lines = [
                fact("file", safe(one.path), name_width=_NAMES),
                fact("names", words(one.names) if one.names else "none", name_width=_NAMES),
                fact("renew", "lockgate tls renew, on the station's machine, by its administrator; then t here",
                     name_width=_NAMES),
            ]  # fmt: skip
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.table.current

    def copied(self) -> str:
        return self.table.current.path if self.table.current else ""

    def do_tls_reload(self) -> None:
        """Let the station take up the files as they are now; one that does not fit is refused, and nothing changes."""
        question = Confirm(
            "Take up the certificate's files as they are now?",
            "They are tried first. Connections that stand stay; new ones meet the new certificate.",
        )
        self.console_app.push_screen(question, lambda yes: self._reload() if yes else None)

    def _reload(self) -> None:
        self.ask(lambda station: station.send(Page[Certificate], "/v1/tls/reload", {}), self._reloaded, group="act")

    def _reloaded(self, page: Page[Certificate]) -> None:
        self._show(page)
        first = next(iter(page.items), None)
        self.say("ok", f"taken up; good until {moment(first.not_after)}" if first is not None else "taken up")
