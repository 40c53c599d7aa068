"""Replication: the stations that this one follows, how far behind it is, and what waits, by repository."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult

from appliance.api.common import Page
from appliance.api.transfers import Replica, ReplicaRepository
from bundles.io.display import safe
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import moment, number
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.replication import about_replica, about_repository, lag_told, repository_standing, standing

_NAMES: Final = 9
_AGAIN: Final = 5.0
"""Seconds between two questions: a lag grows without anything being changed."""


class ReplicationScreen(StationScreen):
    name_of: ClassVar[str] = "replication"
    AUTO_FOCUS = "Table"

    def body(self) -> ComposeResult:
        look = self.look
        yield Table[Replica](
            look,
            "Stations that are followed",
            (
                Column("state", lambda one: f"{look.mark(standing(one)[1])} {standing(one)[0]}", 14,
                       role=lambda one: standing(one)[1]),
                Column("replica", lambda one: safe(one.name), 18),
                Column("lag", lambda one: lag_told(one.lag), 11, right=True, order=lambda one: one.lag or 0),
                Column("equal as of", lambda one: moment(one.whole), 16),
                Column("primary", lambda one: safe(one.url), least=100),
            ),
            key=lambda one: one.name,
            ident="replicas",
            empty="config.toml names none: [replicas.NAME]",
            also=lambda one: safe(one.fault),
        )  # fmt: skip
        yield Table[ReplicaRepository](
            look,
            "Its repositories",
            (
                Column("state", lambda one: f"{look.mark(repository_standing(one)[1])} {repository_standing(one)[0]}",
                       14, role=lambda one: repository_standing(one)[1]),
                Column("repository", lambda one: safe(one.name)),
                Column("tags", lambda one: number(one.tags), 9, right=True, order=lambda one: one.tags),
                Column("wait", lambda one: number(one.behind), 7, right=True, order=lambda one: one.behind),
                Column("gone", lambda one: number(one.gone), 6, right=True, least=76, order=lambda one: one.gone),
                Column("lag", lambda one: lag_told(one.lag), 11, right=True, order=lambda one: one.lag or 0),
            ),
            key=lambda one: one.name,
            ident="repositories",
            empty="no look has found a repository of it yet",
            also=lambda one: safe(one.fault),
        )  # fmt: skip
        yield Panel(look, ident="detail")

    @property
    def replicas(self) -> Table[Replica]:
        return self.query_one("#replicas", Table)

    @property
    def repositories(self) -> Table[ReplicaRepository]:
        return self.query_one("#repositories", Table)

    def opened(self) -> None:
        self.set_interval(_AGAIN, self._again)

    def _again(self) -> None:
        if self.console_app.shown is self and not self.console_app.link.lost:
            self.load()

    def load(self) -> None:
        self.ask(lambda station: station.fetch(Page[Replica], "/v1/replicas"), self._show, places=[self.replicas],
                 needs="status")  # fmt: skip

    def _show(self, page: Page[Replica]) -> None:
        self.replicas.show(page.items)
        self.moved(self.replicas)

    def filter_changed(self, text: str) -> None:
        self.narrow(self.replicas, text)
        self.narrow(self.repositories, text)

    def moved(self, rows: RowList | None) -> None:
        replica = self.replicas.current
        shown = replica.repositories if replica is not None else ()
        if tuple(self.repositories.loaded) != shown:
            self.repositories.show(shown)
        one = self.item()
        facts = about_replica(one) if isinstance(one, Replica) else []
        if isinstance(one, ReplicaRepository):
            facts = about_repository(one)
        lines: list[list[Span]] = [
            fact(name, text, "bad" if name == "fault" else "plain", name_width=_NAMES) for name, text in facts
        ]
        self.query_one("#detail", Panel).show(lines or [[("", "plain")]])

    def item(self) -> object | None:
        inner = self.last_list is self.repositories
        return self.repositories.current if inner else self.replicas.current

    def do_open(self) -> None:
        replica = self.replicas.current
        if replica is not None and replica.job:
            self.console_app.open_thing("job", replica.job)
        elif replica is not None:
            self.hint("no job follows it: c compares now")

    def do_replica_sync(self) -> None:
        """Compare everything with the primary now, and take what differs; the job's page says what came of it."""
        replica = self.replicas.current
        if replica is None:
            return
        params = {"name": replica.name, "once": True, "now": True, "take": []}
        self.ask(lambda station: station.start_job("replica", params), self.console_app.open_begun, group="act")

    def copied(self) -> str:
        one = self.item()
        return one.name if isinstance(one, Replica | ReplicaRepository) else ""
