"""Transfers: the transfer hosts, what lies on them and in the drop folders, and every transfer with its rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult

from appliance.api.bundles import Medium
from appliance.api.common import Page
from appliance.api.jobs import Job
from appliance.api.transfers import DropFolder, TransferHost
from bundles.io.display import safe
from tui.decisions.building import check_path
from tui.dialogs.choose import Choose
from tui.dialogs.media import ELSEWHERE, media_options
from tui.dialogs.prompt import Prompt
from tui.screens.jobs.acts import JobActs
from tui.screens.station_screen import PAGE, StationScreen
from tui.station.port import Station
from tui.terminal.texts import count, moment, percent, size
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.table import Column, Table
from tui.wording.transfers import KINDS, Lying, about_host, host_of, in_drops, on_host, rate_of, rates, role_of

_NAMES: Final = 9
_PATIENCE: Final = 600.0
"""Seconds that a look at a host may take: one that is out of its hours waits."""


class TransfersScreen(JobActs, StationScreen):
    name_of: ClassVar[str] = "transfers"
    AUTO_FOCUS = "Table"

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[Lying] = []
        """What the last look at a host found."""
        self._drops: list[Lying] = []

    def body(self) -> ComposeResult:
        look = self.look

        def progress(job: Job) -> str:
            if job.final:
                return moment(job.finished)
            return f"{look.bar(job.done, job.total, 11)} {percent(job.done, job.total):>4}"

        yield Table[TransferHost](
            look,
            "Transfer hosts",
            (
                Column("host", lambda one: safe(one.name), 18),
                Column("address", lambda one: safe(f"{one.user}@{one.address}")),
                Column("folder", lambda one: safe(one.folder or "where a log-in starts"), 24, least=76),
            ),
            key=lambda one: one.name,
            ident="hosts",
            empty="config.toml names none: [transfer_hosts.NAME]",
        )
        yield Table[Lying](
            look,
            "What lies there, and in drop folders",
            (
                Column("state", lambda one: f"{look.mark(role_of(one))} {safe(one.state)}", 15, role=role_of),
                Column("bundle", lambda one: safe(one.id), 24),
                Column("where", lambda one: safe(one.where)),
            ),
            key=lambda one: f"{one.where} {one.id} {one.state}",
            ident="there",
            empty="nothing is known to lie anywhere: l looks at a host",
            also=lambda one: safe(one.why),
        )
        yield Table[Job](
            look,
            "Transfers",
            (
                Column("state", lambda job: look.state(job.state)[0], 15, role=lambda job: look.state(job.state)[1]),
                Column("kind", lambda job: safe(job.kind), 10),
                Column("host", lambda job: safe(host_of(job))),
                Column("progress, or its end", progress, 20, order=lambda job: job.finished or ""),
                Column("rate", lambda job: f"{size(rate_of(job))}/s" if rate_of(job) else "", 12, least=76),
            ),
            key=lambda job: job.id,
            ident="transfers",
            empty="none was begun yet",
        )
        yield Panel(look, ident="detail")

    @property
    def hosts(self) -> Table[TransferHost]:
        return self.query_one("#hosts", Table)

    @property
    def there(self) -> Table[Lying]:
        return self.query_one("#there", Table)

    @property
    def begun(self) -> Table[Job]:
        return self.query_one("#transfers", Table)

    def load(self) -> None:
        self.ask(lambda station: station.fetch(Page[TransferHost], "/v1/transfer-hosts"), self._show_hosts,
                 group="hosts", places=[self.hosts], needs="media")  # fmt: skip
        self.ask(lambda station: station.fetch(Page[DropFolder], "/v1/drop-folders"), self._show_drops,
                 group="drops", places=[self.there], needs="media")  # fmt: skip
        self.ask(lambda station: station.jobs(limit=PAGE), self._show_jobs, group="jobs", places=[self.begun])

    def _show_hosts(self, page: Page[TransferHost]) -> None:
        self.hosts.show(page.items)
        self.moved(None)

    def _show_drops(self, page: Page[DropFolder]) -> None:
        self._drops = in_drops(page.items)
        self._show_there()

    def _show_there(self) -> None:
        self.there.show([*self._seen, *self._drops])
        self.moved(None)

    def _show_jobs(self, page: Page[Job]) -> None:
        self.begun.show([job for job in page.items if job.kind in KINDS])
        self.moved(None)

    def filter_changed(self, text: str) -> None:
        for table in (self.hosts, self.there, self.begun):
            self.narrow(table, text)

    def moved(self, rows: RowList | None) -> None:
        one = self.item()
        lines: list[list[Span]] = [[("", "plain")]]
        if isinstance(one, TransferHost):
            lines = [fact(name, text, name_width=_NAMES) for name, text in about_host(one)]
        elif isinstance(one, Lying):
            lines = [[(safe(one.why or one.state), "plain")]]
        elif isinstance(one, Job):
            lines = self._about(one)
        history = rates(self.begun.loaded, plain=self.look.ascii)
        if history:
            lines = [*lines, fact("rates", history, name_width=_NAMES)]
        self.query_one("#detail", Panel).show(lines)

    def _about(self, job: Job) -> list[list[Span]]:
        if job.error is not None:
            return [[(f"{safe(job.error.what)}: {safe(job.error.thing)}; {safe(job.error.remedy)}", "bad")]]
        done = f", {size(job.done)} of {size(job.total)}" if job.total and not job.final else ""
        return [
            [(f"{safe(job.id)} by {safe(job.actor)}, begun {moment(job.created)}  {safe(job.phase)}{done}", "plain")]
        ]

    def item(self) -> object | None:
        tables = (self.hosts, self.there, self.begun)
        focused = next((table for table in tables if self.focused is table), self.last_list)
        return focused.current if isinstance(focused, Table) else self.hosts.current

    def job_now(self) -> Job | None:
        one = self.item()
        return one if isinstance(one, Job) else None

    def job_heard(self, job: Job) -> None:
        self.load()

    def do_open(self) -> None:
        one = self.item()
        if isinstance(one, Job):
            self.console_app.open_thing("job", one.id)
        elif isinstance(one, TransferHost):
            self.do_transfer_look()

    def do_transfer_look(self) -> None:
        """Look what lies on the host under the cursor, and show it here."""
        host = self.hosts.current
        if host is None:
            return

        async def look(station: Station) -> Job:
            begun = await station.start_job("sftp-list", {"at": host.name})
            async for event in station.job_events(begun.id):
                if event.job is not None and event.job.final:
                    return event.job
            return await station.job(begun.id)

        self.say("busy", f"looking what lies on {host.name}; it is a job: c on it stops it")
        self.ask(look, self._looked, group="look at a host", patience=_PATIENCE)

    def _looked(self, job: Job) -> None:
        self.load()
        if job.state != "done":
            error = job.error
            why = f"{error.what}: {error.thing}; {error.remedy}" if error is not None else f"it is {job.state}"
            self.say("bad", why)
            return
        self._seen = on_host(job.result or {})
        self._show_there()
        bundles = [one for one in self._seen if one.id]
        self.say("ok", f"{host_of(job)}: {count(len(bundles), 'bundle')} there" if bundles else "no bundle lies there")

    def do_transfer_cancel(self) -> None:
        """Stop the transfer under the cursor, after a question."""
        self.do_cancel()

    def do_transfer_push(self) -> None:
        """Choose bundles on media, and send them to the host under the cursor."""
        host = self.hosts.current
        if host is not None:
            self.ask(lambda station: station.media(), lambda media: self._ask_bundles(host.name, media), group="act")

    def _ask_bundles(self, host: str, media: Sequence[Medium]) -> None:
        explain = "What is signed of it is sent, and read back before a file gets its name. What was cut off goes on."
        question = Choose(f"Push which bundles to {safe(host)}?", media_options(media), explain, several=True,
                          or_current=True)  # fmt: skip
        self.console_app.push_screen(question, lambda chosen: self._bundles_chosen(host, chosen) if chosen else None)

    def _bundles_chosen(self, host: str, chosen: Sequence[str]) -> None:
        paths = [path for path in chosen if path != ELSEWHERE]
        if len(paths) == len(chosen):
            self._begin("sftp-push", {"paths": paths, "to": host})
            return
        prompt = Prompt(f"Push to {safe(host)}: Which folder?", "A bundle's own folder.", check=check_path)
        self.console_app.push_screen(
            prompt, lambda path: self._begin("sftp-push", {"paths": [*paths, path], "to": host}) if path else None
        )

    def do_transfer_pull(self) -> None:
        """Fetch the bundle under the cursor into a folder."""
        one = self.there.current
        if one is None or not one.host:
            return
        explain = "Its signatures are checked first, and each volume by its sum. Then import it from there."
        prompt = Prompt(f"Pull {safe(one.id)}: Into which folder?", explain, check=check_path)
        params = {"id": one.id, "from": one.where}
        self.console_app.push_screen(
            prompt, lambda path: self._begin("sftp-pull", {**params, "out": path}) if path else None
        )

    def _begin(self, kind: str, params: dict[str, object]) -> None:
        self.ask(lambda station: station.start_job(kind, params), self.console_app.open_begun, group="act")

    def copied(self) -> str:
        one = self.item()
        return one.name if isinstance(one, TransferHost) else one.id if isinstance(one, Lying | Job) else ""
