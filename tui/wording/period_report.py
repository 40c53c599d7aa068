"""What a week, a month or a quarter came to, as lines: what `lockgate report` prints. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.api.report import ActCount, Counted, Report, StorageGrowth
from appliance.api.status import ObjectiveState
from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import count, moment, number, percent, size, words
from tui.widgets.rows import Span

Lines = list[list[Span]]


def period_lines(look: Look, found: Report) -> Lines:
    """The report, a section after the other: what speaks against the station stands first."""
    lines: Lines = []
    if found.log_begins > found.since:
        told = f"{look.mark('bad')} the log begins {moment(found.log_begins)}: what was before is not counted"
        lines.append([(told, "bad")])
    _section(lines, "Service levels", [_level(look, one) for one in found.objectives], "config.toml names none")
    incidents = [
        [(f"{moment(one.time)} ", "name"), (safe(f"{one.act} {one.thing} by {one.actor}, {one.outcome}"), "plain")]
        for one in found.incidents
    ]
    if found.incident_count > len(incidents):
        incidents.append([(f"and {count(found.incident_count - len(incidents), 'older incident')}", "plain")])
    _section(lines, "Incidents", incidents)
    _section(lines, "Repositories that fail most", _counted(found.denied))
    _section(lines, "Failed pushes", _counted(found.failed_pushes))
    _section(lines, "Refused most", _counted(found.refused))
    _section(lines, "Pulled most", _counted(found.pulled))
    _section(lines, "Transfer", _acts(found.transfer))
    streams = [
        [
            (f"{safe(one.stream)}: ", "name"),
            (f"{safe(one.direction)}, {one.sequence} at {moment(one.at)}", "plain"),
        ]
        for one in found.streams
    ]
    _section(lines, "Streams", streams)
    _section(lines, "Retention", _acts(found.retention))
    _section(lines, "Changes of accounts", _acts(found.account_changes))
    roles = [
        [(f"{safe(one.role)}: ", "name"),
         (f"{count(one.persons, 'person', 'people')}, {count(one.robots, 'robot')}: {words(one.names)}", "plain")]
        for one in found.roles
    ]  # fmt: skip
    _section(lines, "Roles", roles)
    _section(lines, "Storage", _storage(found.storage))
    return lines


def period_title(found: Report) -> str:
    """Which period, and from how many events."""
    return f"{safe(found.period)} to {moment(found.until)}, {count(found.events, 'event')}"


def _section(lines: Lines, title: str, rows: Lines, none: str = "none") -> None:
    lines.append([(title, "title")])
    lines += [[("  ", "plain"), *row] for row in rows] or [[("  ", "plain"), (none, "plain")]]


def _counted(names: Sequence[Counted]) -> Lines:
    return [
        [(f"{number(one.count):>9}  ", "plain"), (safe(one.name), "name"),
         (f" (up to {number(one.over)} less)" if one.over else "", "plain")]
        for one in names
    ]  # fmt: skip


def _acts(acts: Sequence[ActCount]) -> Lines:
    return [
        [(f"{safe(one.act)}: ", "name"), (f"{one.done} done, {one.refused} refused, {one.failed} failed", "plain")]
        for one in acts
    ]


def _level(look: Look, one: ObjectiveState) -> list[Span]:
    role = "ok" if one.left > 0 else "bad"
    name = f"{safe(one.slo)} {safe(one.objective.replace('_', ' '))}"
    told = f"{one.reached * 100:.4g} % of {one.target * 100:g} % in {count(one.days, 'day')}"
    budget = f"{one.left * 100:.0f} % of its error budget left" if one.left > 0 else "its error budget is overspent"
    return [(f"{look.mark(role)} ", role), (f"{name}: {told}; {budget}", "plain" if role == "ok" else role)]


def _storage(one: StorageGrowth) -> Lines:
    used = percent(one.size - one.free, one.size) or "an unknown part"
    full = "the disk is not filling" if one.days_left is None else f"full in {count(one.days_left, 'day')} at that rate"
    return [
        [(f"{used} of {size(one.size)} used, {size(one.store)} in the store; {full}", "plain")],
        [(f"{size(one.came)} came in, {size(one.collected)} were collected", "plain")],
    ]
