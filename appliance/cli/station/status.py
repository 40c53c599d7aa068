"""`lockgate status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.shared.context import call, json_option, megabytes, show, station_option
from bundles.io.display import safe, some


@click.command()
@station_option
@json_option
def status(root: Path | None, as_json: bool) -> None:
    """The station at a glance."""
    document = call(root, lambda client: client.status())
    show(document, as_json, lambda: _text(document))


def _text(document: dict[str, Any]) -> str:
    store, jobs = document["store"], document["jobs"]
    only = document["read_only"]
    lines = [
        f"site         {document['site']} ({document['side']}{', open' if document['open'] else ''})",
        f"registry     {'http' if document['open'] else 'https'}://{document['listen']}",
        f"version      {document['version']}, up since {document['started']}",
        f"store        {some(store['blobs'], 'blob')}, {megabytes(store['bytes'])}; {megabytes(store['free'])} free",
        *_graveyard(store["graveyard"]),
        *([f"read-only    since {only['since']}: {only['why']}"] if only else []),
        *_collected(store["collected"]),
        f"jobs         {jobs['running']} running, {jobs['queued']} queued",
        f"quarantine   {document['quarantine']}",
        *(f"             {line}" for line in quota_lines(document["quarantined"])),
        f"last import  {_last_import(document)}",
        *_advisories(document["advisories"]),
        *_objectives(document["objectives"]),
        f"health       {_health(document)}",
    ]
    return "\n".join([*lines, *(f"alert        {safe(alert)}" for alert in document["alerts"])])


def quota_lines(sources: list[dict[str, Any]]) -> list[str]:
    """What the sources that have a quota have in quarantine of it."""
    return [f"{one['source']}: {megabytes(one['bytes'])} of a quota of {megabytes(one['quota'])}"
            for one in sources if one["quota"]]  # fmt: skip


def _last_import(document: dict[str, Any]) -> str:
    if "last_import" in document["hidden"]:
        return "not shown: your roles do not see what came in (see: lockgate role list)"
    last = document["last_import"]
    return f"{last['id']} at {last['at']}" if last else "none"


def _advisories(held: dict[str, Any]) -> list[str]:
    if not held["sources"] and not held["damaged"]:
        return []
    unread = f"; {some(held['malformed'], 'record')} could not be read" if held["malformed"] else ""
    oldest = f", the oldest of {held['oldest']}" if held["oldest"] else ""
    lines = [f"advisories   {some(held['sources'], 'source')}{oldest}{unread}"]
    if held["damaged"]:
        what = some(held["damaged"], "source is", "sources are")
        lines.append(f"[!!] {what} not what was loaded: lockgate advisories list")
    if held["hit"]:
        have = some(held["hit"], "served image has", "served images have")
        lines.append(f"new findings {have} some: lockgate scan new")
    return lines


def _objectives(objectives: list[dict[str, Any]]) -> list[str]:
    """The objective whose error budget is spent furthest; those of an idle registry say nothing."""
    worst = min(objectives, key=lambda one: one["left"], default=None)
    if worst is None or worst["left"] >= 1:
        return []
    name = f"{worst['slo']} {worst['objective'].replace('_', ' ')}"
    reached = f"{worst['reached']:.3%} of {worst['target']:.3%} in {some(worst['days'], 'day')}"
    return [f"slo          {name}: {reached}, {max(0.0, worst['left']):.0%} of the error budget is left"]


def _health(document: dict[str, Any]) -> str:
    """Never `[ok]` above an alert: who reads one line reads this one."""
    if not document["health"]["ok"]:
        return "[!!] FAIL"
    return "[!!] see the alerts" if document["alerts"] else "[ok]"


def _graveyard(graveyard: dict[str, Any]) -> list[str]:
    if not graveyard["blobs"]:
        return []
    since = graveyard["oldest"]
    return [
        f"graveyard    {some(graveyard['blobs'], 'blob')}, {megabytes(graveyard['bytes'])}, the oldest since {since}"
    ]


def _collected(collected: dict[str, Any]) -> list[str]:
    if not collected["asked"]:
        return []
    return [f"collected    clients asked {some(collected['asked'], 'time')} for content that gc took"]
