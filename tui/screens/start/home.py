"""Home: the station at a glance, and the next sensible action first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from appliance.api.common import Page
from appliance.api.intake import IntakeEntry
from appliance.api.jobs import Job
from appliance.api.people import AccountChange
from appliance.api.status import Activity, Status, StoreUse
from bundles.io.display import safe
from tui.dialogs.confirm import Confirm
from tui.screens.station_screen import StationScreen
from tui.station.troubles import Trouble, dismiss, troubles
from tui.terminal.look import Look
from tui.terminal.texts import count, fit, moment, percent, size, span
from tui.widgets.line_rows import LineRows
from tui.widgets.mark_rows import Marked, MarkRows
from tui.widgets.nothing import Known
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.wording.health import summary
from tui.wording.next_action import Suggestion, suggestions
from tui.wording.overview import activity_lines, activity_title, job_lines, refusal_lines, waiting_lines
from tui.wording.promises import budget_told, forecast_told


class NextActions(RowList):
    """The suggestions, most urgent first."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, "What next", ident="suggestions", empty="looking for the station")
        self.suggestions: list[Suggestion] = []

    @property
    def row_count(self) -> int:
        return len(self.suggestions)

    def row(self, index: int, width: int) -> Sequence[Span]:
        one = self.suggestions[index]
        room = width - 5
        text = fit(one.text, room, self.look.ellipsis) if cell_len(one.text) > room else one.text
        return [(f"{self.look.mark(one.role)} ", one.role), (text, "plain")]

    @property
    def whole(self) -> str:
        """The text under the cursor where its row has no room for it; empty where it has."""
        text = self.suggestions[self.cursor].text if self.cursor < len(self.suggestions) else ""
        return text if cell_len(text) > self.size.width - 7 else ""


_WIDE: Final = 160
_HIGH: Final = 48
"""Columns and rows from which there is room for the overview."""
_MINUTE: Final = 60.0
"""Seconds after which the activity is asked for anew: the station counts by the minute."""
_DISMISS: Final = (
    "Home and Recover name it no more; Jobs and the audit log keep it, with your name. "
    "Dismiss what somebody has looked into."
)


class HomeScreen(StationScreen):
    name_of: ClassVar[str] = "home"

    def __init__(self) -> None:
        super().__init__()
        self.jobs: tuple[Job, ...] = ()
        self.troubles: Sequence[Trouble] | None = None
        """None before the station said which there are: nothing is suggested then, so that no row moves below a key."""
        self.entries: tuple[IntakeEntry, ...] = ()
        self.changes = 0
        self.activity: Activity | None = None

    def body(self) -> ComposeResult:
        look = self.look
        self._down = Panel(look, "This station does not answer", ident="down")
        yield self._down
        yield NextActions(look)
        yield Panel(look, ident="whole")
        yield MarkRows(look, "Alerts", ident="alerts")
        yield Panel(look, "Running", ident="running")
        with Horizontal(id="glance"):
            yield LineRows(look, "Station", ident="station")
            yield LineRows(look, "Health", ident="health")
        with Vertical(id="overview"):
            with Horizontal():
                yield LineRows(look, "Activity", ident="activity")
                yield LineRows(look, "Jobs that run", ident="jobs-now")
            with Horizontal():
                yield LineRows(look, "Refused or failed last", ident="refusals")
                yield LineRows(look, "What waits for whom", ident="waits")

    def frame_changed(self) -> None:
        super().frame_changed()
        panel = self._down
        if panel.is_attached:
            panel.display = self.console_app.link.lost
            if panel.display:
                panel.show(down_lines(self.console_app.link.station.folder))
                self.query_one(NextActions).stands(Known.UNKNOWN, "the station does not answer")

    def load(self) -> None:
        rows = [self.query_one(NextActions)]
        if self.console_app.presence.who is None:
            if not self.console_app.link.lost:
                rows[0].stands(Known.UNKNOWN, "looking for the station")
            return
        self.ask(lambda station: station.jobs(limit=20), self.show_jobs, group="jobs")
        self.ask(troubles, self.show_troubles, group="troubles", places=rows)
        self.ask(
            lambda station: station.fetch(Page[AccountChange], "/v1/account-changes"),
            self.show_changes,
            group="changes",
        )
        self.ask(lambda station: station.intake(limit=20), self.show_intake, group="intake", needs="quarantine")

        self._ask_activity()

    def opened(self) -> None:
        self.set_interval(_MINUTE, self._ask_activity)

    @property
    def roomy(self) -> bool:
        """Whether there is room for the overview."""
        return self.size.width >= _WIDE and self.size.height >= _HIGH

    def _ask_activity(self) -> None:
        if self.roomy and self.console_app.shown is self and not self.console_app.link.lost:
            self.ask(lambda station: station.fetch(Activity, "/v1/activity"), self._show_activity, group="activity",
                     places=[self.query_one("#activity", LineRows)])  # fmt: skip

    def _show_activity(self, activity: Activity) -> None:
        self.activity = activity
        self.show_state()

    def _show_overview(self, status: Status) -> None:
        look, rows = self.look, self.query_one("#activity", LineRows)
        rows.show(activity_lines(look, self.activity, rows.size.width - 2), activity_title(self.activity))
        self.query_one("#jobs-now", LineRows).show(job_lines(look, self.jobs))
        self.query_one("#refusals", LineRows).show(refusal_lines(look, self.troubles))
        waits = self.query_one("#waits", LineRows)
        if denied := self.console_app.presence.denied.get("quarantine"):
            waits.stands(Known.FORBIDDEN, safe(denied))
        else:
            waits.show(waiting_lines(look, status, self.jobs, self.entries))

    def show_jobs(self, page: Page[Job]) -> None:
        self.jobs = page.items
        self.show_state()

    def show_troubles(self, found: Sequence[Trouble]) -> None:
        self.troubles = found
        self.show_state()

    def show_intake(self, page: Page[IntakeEntry]) -> None:
        self.entries = page.items
        self.show_state()

    def show_changes(self, page: Page[AccountChange]) -> None:
        self.changes = len(page.items)
        self.show_state()

    def state_changed(self) -> None:
        self.show_state()
        self.load()

    def item(self) -> object | None:
        rows = self.query_one(NextActions)
        return rows.suggestions[rows.cursor] if rows.suggestions and self.last_list in (rows, None) else None

    def show_state(self) -> None:
        """Paint everything from what is known."""
        status = self.console_app.status
        if status is None:
            return
        rows = self.query_one(NextActions)
        fresh = (
            [] if self.troubles is None else suggestions(status, self.jobs, self.entries, self.changes, self.troubles)
        )
        if fresh != rows.suggestions:
            rows.suggestions = fresh
            rows.changed()
        self.query_one("#running", Panel).show(self._job_lines())
        self.query_one("#station", LineRows).show(self._station_lines(status))
        title = f"Health: {summary(status)[1]}"
        self.query_one("#health", LineRows).show(self._health_lines(status), title)
        self.moved(rows)
        alerts = self.query_one("#alerts", MarkRows)
        alerts.show([Marked("bad", safe(text)) for text in status.alerts])
        if self.roomy:
            self._show_overview(status)
        self.rearrange()

    def moved(self, rows: RowList | None) -> None:
        """Show the whole of a suggestion that is longer than its row."""
        panel, text = self.query_one("#whole", Panel), self.query_one(NextActions).whole
        panel.display = bool(text)
        panel.show([[("       ", "plain"), (text, "plain")]])

    def rearrange(self) -> None:
        """Suggestions and alerts get the rows they need, up to a part of the screen, and scroll beyond that."""
        alerts, rows = self.query_one("#alerts", MarkRows), self.query_one(NextActions)
        self.query_one("#overview").display = self.roomy
        self.query_one("#glance").set_class(self.roomy, "roomy")
        rows.styles.height = 1 + min(max(rows.row_count, 1), self.size.height // 4)
        alerts.styles.height = 1 + min(max(alerts.row_count, 1), self.size.height // 6)
        alerts.display = bool(alerts.lines)
        if not alerts.display and self.last_list is alerts:
            self.set_focus(rows)

    def _job_lines(self) -> list[list[Span]]:
        job = self.console_app.running_job
        if job is None:
            return [[("[--] no job runs", "plain")]]
        word, role = self.look.state(job.state)
        left = f"{span(job.seconds_left)} left" if job.seconds_left is not None else ""
        bar = self.look.bar(job.done, job.total, 18)
        text = f"  {safe(job.kind)}  {bar} {percent(job.done, job.total):>4}  {safe(job.phase)}  {left}"
        return [[(word, role), (text, "plain")]]

    def _station_lines(self, status: Status) -> list[list[Span]]:
        store = status.store
        return [
            _fact("site", f"{safe(status.site)}, {safe(status.side)}", "title"),
            _fact("registry", f"{safe(status.listen)}{', open' if status.open else ''}"),
            _fact("since", moment(status.started)),
            _fact("store", f"{size(store.bytes)} in {count(store.blobs, 'blob')}"),
            _fact("disk", _disk(self.look, store)),
            *([_fact("", f"read-only since {moment(status.read_only.since)}", "bad")] if status.read_only else []),
            _fact("quarantine", count(status.quarantine, "bundle")),
            *([_fact("accounts", _changes(status), "need")] if status.account_changes else []),
            *([_fact("budget", *told)] if (told := budget_told(status.objectives)) else []),
            *([_fact("growth", grows)] if (grows := forecast_told(self.activity, store)) else []),
            _fact("last import", _last_import(status)),
        ]

    def _health_lines(self, status: Status) -> list[list[Span]]:
        lines: list[list[Span]] = []
        width = max([9, *(len(safe(check.name)) for check in status.health.checks)])
        for check in sorted(status.health.checks, key=lambda check: check.ok):
            role = "ok" if check.ok else "bad"
            word = self.look.mark(role) if check.ok else f"{self.look.mark(role)} FAIL"
            lines.append([(f"{word} {safe(check.name):<{width}} ", role), (safe(check.detail), "plain")])
        return lines or [[("[--] no checks", "plain")]]

    def do_open(self) -> None:
        item = self.item()
        if isinstance(item, Suggestion):
            if item.kind == "guide":
                self.console_app.open_guide(item.reference)
            else:
                self.console_app.open_thing(item.kind, item.reference)

    def do_dismiss(self) -> None:
        """Somebody has seen to it: all equal ones."""
        item = self.item()
        ids = item.ids if isinstance(item, Suggestion) else ()
        if not ids:
            return
        question = Confirm(f"Dismiss: {item.text if isinstance(item, Suggestion) else ''}?", _DISMISS)
        self.console_app.push_screen(question, lambda yes: self._dismiss(ids) if yes else None)

    def _dismiss(self, ids: tuple[str, ...]) -> None:
        self.ask(lambda station: dismiss(station, ids), self._dismissed, group="act")

    def _dismissed(self, _: None) -> None:
        self.load()
        self.say("ok", "dismissed: Jobs still lists it")

    def do_bring_in(self) -> None:
        self.console_app.open_guide("bring_in")

    def as_text(self) -> str:
        panels = [panel.as_text() for panel in self.query(Panel) if panel.display]
        lists = [rows.as_text() for rows in self.query(RowList) if rows.display]
        return "\n".join([*lists, *panels])


def down_lines(folder: str) -> list[list[Span]]:
    """Which folder it is, and what starts it."""
    if not folder:
        return [[("it has no folder here", "plain")]]
    start = f"lockgate serve -C {shlex.quote(folder)}"
    return [
        fact("folder", safe(folder), name_width=8),
        fact("start", safe(start), "title", name_width=8),
        fact("", "as a service: systemctl start lockgate; why it ended: systemctl status lockgate", name_width=8),
    ]


def _last_import(status: Status) -> str:
    if "last_import" in status.hidden:
        return "not shown to your roles"
    return moment(status.last_import.at if status.last_import else None)


def _disk(look: Look, store: StoreUse) -> str:
    """How full the file system is, whoever filled it; without a bar where its size is not known."""
    free = f"{size(store.free)} free"
    return f"{look.bar(store.size - store.free, store.size, 14)} {free}" if store.size > 0 else free


def _changes(status: Status) -> str:
    changes = status.account_changes
    return f"{count(changes, 'change')} {'waits' if changes == 1 else 'wait'}"


def _fact(name: str, value: str, role: str = "plain") -> list[Span]:
    return fact(name, value, role, name_width=12)
