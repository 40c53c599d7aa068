"""Home's overview on a large screen: what went on, what runs, what was refused last, and what waits for whom. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from appliance.api.intake import IntakeEntry
from appliance.api.jobs import Job
from appliance.api.status import Activity, ActivityPoint, Status
from bundles.io.display import safe
from tui.station.troubles import Trouble
from tui.terminal.look import Look
from tui.terminal.sparkline import sparkline
from tui.terminal.texts import count, moment, number, percent, size, span
from tui.widgets.rows import Span
from tui.wording.troubles import trouble_line

_COUNTED: Final[tuple[tuple[str, Callable[[ActivityPoint], int]], ...]] = (
    ("pulls", lambda point: point.pulls),
    ("pushes", lambda point: point.pushes),
    ("errors", lambda point: point.errors),
    ("imports", lambda point: point.imports),
    ("refused", lambda point: point.refused),
)
_NAMES: Final = 9
_SAID: Final = 12
"""Cells of a number behind its sparkline."""
Lines = list[list[Span]]


def activity_title(activity: Activity | None) -> str:
    """Of which time the sparklines are: never more than the station was up."""
    if activity is None or not activity.points:
        return "Activity"
    return f"Activity of the last {span(len(activity.points) * activity.step)}"


def activity_lines(look: Look, activity: Activity | None, width: int) -> Lines:
    """A sparkline of each count, with its sum, and of the store's size, with what it is now."""
    if activity is None or not activity.points:
        return [[("nothing was counted yet: the first minute is not over", "plain")]]
    room = max(width - _NAMES - _SAID, 8)
    lines: Lines = []
    for name, value in _COUNTED:
        values = [value(point) for point in activity.points]
        role = "bad" if name in ("errors", "refused") and any(values) else "plain"
        drawn = sparkline(values, room, look.levels)
        lines.append([(f"{name:<{_NAMES}}", "plain"), (drawn, role), (f" {number(sum(values))}", role)])
    stored = [point.stored for point in activity.points]
    drawn = sparkline(stored, room, look.levels, max)
    lines.append([(f"{'store':<{_NAMES}}", "plain"), (drawn, "plain"), (f" {size(stored[-1])}", "plain")])
    return lines


def job_lines(look: Look, jobs: Sequence[Job]) -> Lines:
    """The jobs that have not ended, each with how far it is."""
    lines: Lines = []
    for job in jobs:
        if job.final:
            continue
        word, role = look.state(job.state)
        left = f", {span(job.seconds_left)} left" if job.seconds_left is not None else ""
        far = f"{look.bar(job.done, job.total, 12)} {percent(job.done, job.total)}{left}" if job.total else ""
        lines.append([(f"{word} ", role), (f"{safe(job.kind)} {safe(job.id)} {far}  {safe(job.phase)}", "plain")])
    return lines or [[("[--] no job runs", "plain")]]


def refusal_lines(look: Look, troubles: Sequence[Trouble] | None) -> Lines:
    """What was refused or failed and nobody has dismissed, newest first."""
    if troubles is None:
        return [[("[--] not known yet", "plain")]]
    lines: Lines = [
        [(f"{moment(one.job.finished or one.job.created)} ", "name"), (trouble_line(one), "plain")] for one in troubles
    ]
    return lines or [[(f"{look.mark('ok')} nothing is refused, failed or incomplete", "ok")]]


def waiting_lines(look: Look, status: Status, jobs: Sequence[Job], intake: Sequence[IntakeEntry]) -> Lines:
    """What waits for people, and for whom."""
    lines: Lines = []
    mark = look.mark("need")

    def waits(what: str, whom: str) -> None:
        lines.append([(f"{mark} ", "need"), (f"{what}: {whom}", "plain")])

    for job in jobs:
        if job.state == "to-sign":
            waits(f"{safe(job.kind)} {safe(job.id)}", "whoever signs for this station's bundles")
    for entry in intake:
        if entry.state in ("quarantined", "withdrawn"):
            left = max(entry.needed - entry.approvals, 0)
            more = f"{count(left, 'more security officer')} to approve" if entry.approvals else ""
            waits(safe(entry.id), more or f"{count(entry.needed, 'security officer')} to approve")
        elif entry.state == "approved":
            waits(safe(entry.id), "a security officer to release it")
        elif entry.state == "receiving":
            waits(safe(entry.id), f"a courier with {count(len(entry.missing_volumes), 'more volume')}")
    if status.account_changes:
        waits(count(status.account_changes, "change of accounts", "changes of accounts"), "a second administrator")
    for one in status.unfinished:
        waits(safe(one.id), "its media: build it again, or void it")
    return lines or [[(f"{look.mark('ok')} nothing waits for anybody", "ok")]]
