"""Sites: the known destinations of bundles, and the receipts that were given and that came back."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from textual.app import ComposeResult

from appliance.api.bundles import Receipt, Site, SiteChange
from appliance.api.common import Page
from bundles.io.display import safe
from tui.decisions.building import check_site
from tui.dialogs.confirm import Confirm
from tui.dialogs.prompt import Prompt
from tui.screens.station_screen import PAGE, StationScreen
from tui.terminal.texts import count, moment
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table

_WAYS = {"out": "given", "in": "came back"}


class SitesScreen(StationScreen):
    name_of: ClassVar[str] = "sites"

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[Site](
            look,
            "Known sites",
            (
                Column("site", lambda one: safe(one.site)),
                Column("known by", lambda one: f"listed by {safe(one.actor)}" if one.listed else "its bundles", 24),
                Column("bundles", lambda one: str(one.bundles), 7, right=True, order=lambda one: one.bundles),
                Column("last", lambda one: safe(one.last or "none"), 24, least=76),
            ),
            key=lambda one: one.site,
            ident="sites",
            empty="no site is known: n lists one, and a first bundle makes one known",
        )
        yield Table[Receipt](
            look,
            "Receipts",
            (
                Column("way", lambda one: _WAYS.get(one.direction, safe(one.direction)), 10),
                Column("site", lambda one: safe(one.site)),
                Column("number", lambda one: str(one.number), 6, right=True, order=lambda one: one.number),
                Column("made", lambda one: moment(one.created), 16),
                Column("here", lambda one: moment(one.at), 16, least=76),
            ),
            key=lambda one: f"{one.direction} {one.site} {one.number}",
            ident="receipts-here",
            empty="none was given and none came back",
        )
        yield Panel(look, ident="detail")

    @property
    def sites(self) -> Table[Site]:
        return self.query_one("#sites", Table)

    @property
    def receipts(self) -> Table[Receipt]:
        return self.query_one("#receipts-here", Table)

    def load(self) -> None:
        self.ask(lambda station: station.fetch(Page[Site], "/v1/sites"), self._show_sites, group="sites",
                 places=[self.sites], needs="custody")  # fmt: skip
        self.ask(lambda station: station.fetch(Page[Receipt], "/v1/receipts", limit=PAGE), self._show_receipts,
                 group="receipts", places=[self.receipts], needs="receipt")  # fmt: skip

    def _show_sites(self, page: Page[Site]) -> None:
        self.sites.show(page.items)
        self.moved(None)

    def _show_receipts(self, page: Page[Receipt]) -> None:
        self.receipts.show(page.items, page.next)
        self.moved(None)

    def moved(self, rows: RowList | None) -> None:
        one = self.item()
        lines: list[list[Span]] = [[("", "plain")]]
        if isinstance(one, Receipt):
            lines = [fact("digest", safe(one.digest), name_width=7)]
        elif isinstance(one, Site):
            listed = f"listed {moment(one.at)}; " if one.listed else ""
            lines = [[(f"{listed}{count(one.bundles, 'bundle')} signed for it", "plain")]]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.receipts.current if self.focused is self.receipts else self.sites.current

    def do_site_add(self) -> None:
        prompt = Prompt("List a site: which?", "The name that the other station was given at `lockgate init`.",
                        check=check_site)  # fmt: skip
        self.console_app.push_screen(prompt, lambda site: self._add(site) if site else None)

    def _add(self, site: str) -> None:
        self.ask(lambda station: station.send(SiteChange, "/v1/sites", {"site": site}), self._added, group="act")

    def _added(self, answer: SiteChange) -> None:
        self.load()
        self.say("ok", f"{answer.site} is listed" if answer.new is True else f"{answer.site} was known already")

    def do_site_remove(self) -> None:
        one = self.sites.current
        if one is not None:
            question = Confirm(f"Take {safe(one.site)} off the list?", "The next build for it asks again.")
            self.console_app.push_screen(question, lambda yes: self._remove(one.site) if yes else None)

    def _remove(self, site: str) -> None:
        path = f"/v1/sites/{quote(site, safe='')}"
        self.ask(lambda station: station.remove(SiteChange, path), self._removed, group="act")

    def _removed(self, answer: SiteChange) -> None:
        self.load()
        self.say("ok", f"{answer.site} is off the list: the next build for it asks again")

    def copied(self) -> str:
        one = self.item()
        return one.digest if isinstance(one, Receipt) else one.site if isinstance(one, Site) else ""
