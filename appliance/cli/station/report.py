"""`lockgate report`: what a week, a month or a quarter came to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.shared.context import MB, call, json_option, show, station_option, table
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.control.client import ControlClient

_PERIODS: Final = ("week", "month", "quarter")
_PATIENCE: Final = 1_800.0
"""Seconds that reading the log of a quarter may take: some ten thousand events a second."""


@click.command()
@click.argument("period", type=click.Choice(_PERIODS), metavar="week|month|quarter")
@station_option
@json_option
def report(root: Path | None, period: str, as_json: bool) -> None:
    """What the last 7, 30 or 91 days came to: repositories that fail most, failed pushes, service levels, incidents,
    roles, retention, storage and transfer.

    It is counted from the audit log, in one pass, and from what stands now. A list names the first ten. An auditor may.
    """
    document = call(root, lambda client: _ask(client, period))
    show(document, as_json, lambda: "\n\n".join(_sections(document)))


async def _ask(client: ControlClient, period: str) -> dict[str, Any]:
    client.wait_for(_PATIENCE)
    document: dict[str, Any] = await client.get("/v1/report", period=period)
    return document


def _sections(found: dict[str, Any]) -> Iterator[str]:
    yield _head(found)
    for title, key, thing in (
        ("Repositories that fail most", "denied", "REPOSITORY"),
        ("Failed pushes", "failed_pushes", "REPOSITORY"),
        ("Pulled most", "pulled", "REPOSITORY"),
        ("Refused most", "refused", "WHO"),
    ):
        rows = [(safe(one["name"]), _count(one)) for one in found[key]]
        yield _titled(title, rows, (thing, "TIMES"))
    yield _titled("Service levels", [_level(one) for one in found["objectives"]], ("SLO", "ASKED", "REACHED", "BUDGET"))
    incidents = [
        (one["time"], one["act"], safe(one["actor"]), safe(one["thing"]), one["outcome"]) for one in found["incidents"]
    ]
    more = found["incident_count"] - len(incidents)
    title = f"Incidents, the newest of {found['incident_count']}" if more > 0 else "Incidents"
    yield _titled(title, incidents, ("TIME", "ACT", "WHO", "WHAT", "OUTCOME"))
    roles = [(one["role"], one["persons"], one["robots"], safe(", ".join(one["names"]))) for one in found["roles"]]
    yield _titled("Roles", roles, ("ROLE", "PERSONS", "ROBOTS", "WHO"))
    for title, key in (
        ("Changes of accounts", "account_changes"),
        ("Retention", "retention"),
        ("Transfer", "transfer"),
    ):
        counted = [(one["act"], one["done"], one["refused"], one["failed"]) for one in found[key]]
        yield _titled(title, counted, ("ACT", "DONE", "REFUSED", "FAILED"))
    streams = [(one["stream"], one["direction"], one["sequence"], one["at"]) for one in found["streams"]]
    yield _titled("Streams", streams, ("STREAM", "WAY", "LAST", "AT"))
    yield _storage(found["storage"])


def _head(found: dict[str, Any]) -> str:
    events = some(found["events"], "event")
    told = f"{found['site']}: {found['period']} from {found['since']} to {found['until']}, {events}"
    if found["log_begins"] > found["since"]:
        told += f"\n[!!] the log begins {found['log_begins']}: what was before is not counted"
    return told


def _titled(title: str, rows: list[tuple[Any, ...]], heads: tuple[str, ...]) -> str:
    if not rows:
        return f"{title}: none"
    told: str = table(rows, heads)
    return f"{title}\n{told}"


def _count(one: dict[str, Any]) -> str:
    return f"{one['count']} (up to {one['over']} less)" if one["over"] else str(one["count"])


def _level(one: dict[str, Any]) -> tuple[str, str, str, str]:
    name = f"{one['slo']} {one['objective'].replace('_', ' ')}, {some(one['days'], 'day')}"
    mark = "[ok]" if one["left"] > 0 else "[!!]"
    return name, f"{one['target'] * 100:g} %", f"{one['reached'] * 100:.4g} %", f"{mark} {one['left'] * 100:.0f} % left"


def _storage(one: dict[str, Any]) -> str:
    used = (one["size"] - one["free"]) / one["size"] * 100 if one["size"] else 0.0
    full = "it is not filling" if one["days_left"] is None else f"full in {some(one['days_left'], 'day')} at that rate"
    return (
        f"Storage: {used:.0f} % of {one['size'] / MB:.0f} MB used, {one['store'] / MB:.1f} MB in the store;"
        f" {one['came'] / MB:.1f} MB came, {one['collected'] / MB:.1f} MB were collected; {full}"
    )
