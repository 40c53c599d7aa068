"""Jobs: the queue, what runs with its progress, what ended and how."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from textual.app import ComposeResult

from appliance.api.common import Page
from appliance.api.jobs import Job
from bundles.io.display import safe
from tui.dialogs.choose import Choose, Option
from tui.screens.jobs.acts import JobActs
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import moment, percent, span, words
from tui.widgets.panel import Panel
from tui.widgets.rows import RowList
from tui.widgets.table import Column, Table

_UPKEEP: Final = (
    ("look", "See what a collection would take", "nothing is taken away"),
    ("gc", "Collection", "take away what nothing shows; it waits in the graveyard first"),
    ("scrub", "Scrub", "read every blob, withdraw what is damaged"),
)
_PARAMS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "look": ("gc", {"dry_run": True}),
    "gc": ("gc", {"dry_run": False}),
    "scrub": ("scrub", {}),
}


class JobsScreen(JobActs, StationScreen):
    name_of: ClassVar[str] = "jobs"

    def body(self) -> ComposeResult:
        look = self.look

        def progress(job: Job) -> str:
            if job.final:
                return moment(job.finished)
            return f"{look.bar(job.done, job.total, 17)} {percent(job.done, job.total):>4}"

        yield Table[Job](
            look,
            "Jobs",
            (
                Column("state", lambda job: look.state(job.state)[0], 15, role=lambda job: look.state(job.state)[1]),
                Column("kind", lambda job: safe(job.kind), 8),
                Column("what", _what),
                Column("progress, or its end", progress, 22, order=lambda job: job.finished or ""),
                Column("left", _left, 12, least=96, order=lambda job: job.seconds_left or 0),
            ),
            key=lambda job: job.id,
            ident="jobs",
            empty="no jobs yet",
            also=lambda job: safe(f"{job.id} {job.actor}"),
        )
        yield Panel(look, ident="detail")

    @property
    def table(self) -> Table[Job]:
        return self.query_one("#jobs", Table)

    def load(self) -> None:
        self.ask(lambda station: station.jobs(), self.show_jobs, places=[self.table])

    def show_jobs(self, page: Page[Job]) -> None:
        self.table.show(page.items, page.next)

    def on_table_more(self, message: Table.More) -> None:
        self.ask(
            lambda station: station.jobs(after=message.after),
            lambda page: self.table.extend(page.items, page.next),
            group="more",
        )

    def filter_changed(self, text: str) -> None:
        self.narrow(self.table, text)

    def moved(self, rows: RowList | None) -> None:
        job = self.table.current
        lines = [[("", "plain")], [("", "plain")]]
        if job is not None and job.error is not None:
            lines = [[(f"{safe(job.error.what)}: {safe(job.error.thing)}; {safe(job.error.remedy)}", "bad")]]
        elif job is not None:
            lines = [
                [(f"{safe(job.id)} by {safe(job.actor)}, begun {moment(job.created)}  {safe(job.phase)}", "plain")]
            ]
        self.query_one("#detail", Panel).show(lines)

    def item(self) -> object | None:
        return self.table.current

    def job_now(self) -> Job | None:
        return self.table.current

    def jobs_now(self) -> tuple[Job, ...]:
        return tuple(self.table.chosen_records)

    def job_heard(self, job: Job) -> None:
        self.table.show([job if one.id == job.id else one for one in self.table.loaded], self.table.next)

    def do_maintain(self) -> None:
        options = [Option(name, label, detail) for name, label, detail in _UPKEEP]
        explain = "Each is a job: it can be cancelled, and its log says what it found."
        self.console_app.push_screen(Choose("What is to be looked after?", options, explain), self._maintain)

    def _maintain(self, chosen: tuple[str, ...] | None) -> None:
        if chosen:
            kind, params = _PARAMS[chosen[0]]
            self.ask(lambda station: station.start_job(kind, params), self._begun, group="act")

    def _begun(self, job: Job) -> None:
        self.console_app.open_begun(job)

    def do_open(self) -> None:
        if self.table.current is not None:
            self.console_app.open_thing("job", self.table.current.id)

    def copied(self) -> str:
        return self.table.current.id if self.table.current else ""


def _left(job: Job) -> str:
    return span(job.seconds_left) if job.seconds_left is not None else ""


def _what(job: Job) -> str:
    """What a job is about, from its params: where from, or where to."""
    params = job.params
    for name in ("id", "paths", "out", "references", "sources"):
        value = params.get(name)
        if isinstance(value, str):
            return safe(value)
        if isinstance(value, list) and value:
            return words(_named(one) for one in value)
    return safe(job.phase)


def _named(one: object) -> str:
    """An entry of a job's params: a name, or a source of a collect by what it becomes or where it is."""
    if not isinstance(one, dict):
        return str(one)
    return next((one[name] for name in ("as", "reference", "path", "kind") if isinstance(one.get(name), str)), "source")
