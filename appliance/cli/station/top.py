"""`lockgate top`: what the registry is doing just now, by account and by repository, and what takes long."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.shared.context import call, json_option, megabytes, station_option
from appliance.limits import station as limits
from bundles.io.display import safe

if TYPE_CHECKING:
    from appliance.control.client import ControlClient

_SECONDS: Final = 2.0
_HOME: Final = "\x1b[H\x1b[J"
"""To the first line, and clear what is below (ECMA-48, CUP and ED)."""

_WIDTH: Final = 80
_NAMES: Final = 6
"""Accounts and repositories that stand on a screen of 24 lines."""

_TRIES: Final = 20


@click.command()
@click.option("--once", is_flag=True, help="Look for a moment, print, and end.")
@click.option("--seconds", type=click.FloatRange(0.5, 60), default=_SECONDS, show_default=True,
              metavar="S", help="Seconds that each look takes.")  # fmt: skip
@station_option
@json_option
def top(root: Path | None, once: bool, seconds: float, as_json: bool) -> None:
    """Show the registry's requests as they come: how many a second by account and by repository, why some fail, and
    which take long. Ctrl-C ends it.

    Rates are of the last look. Whoever has no account stands by address. Where the output is no terminal it prints one
    look and ends, as --once does. An auditor may.
    """
    follows = not once and not as_json and sys.stdout.isatty()
    call(root, lambda client: _show(client, seconds, follows=follows, as_json=as_json))


async def _show(client: ControlClient, seconds: float, *, follows: bool, as_json: bool) -> None:
    before = await _first(client)
    while True:
        await asyncio.sleep(seconds)
        now = await client.get("/v1/live")
        found = rates(before, now)
        before = now
        if as_json:
            click.echo(json.dumps(found, indent=2))
            return
        size = shutil.get_terminal_size((_WIDTH, 24))
        if not follows:
            click.echo("\n".join(lines(found, max(size.columns, _WIDTH), 0)))
            return
        click.echo(_HOME + "\n".join(lines(found, size.columns, size.lines - 1)), nl=False)


async def _first(client: ControlClient) -> dict[str, Any]:
    """The first look that every worker has told something for; some may be starting, and are left out then."""
    found: dict[str, Any] = await client.get("/v1/live")
    for _ in range(_TRIES):
        if len(found["heard"]) >= found["workers"]:
            break
        await asyncio.sleep(limits.LIVE_LOOK / 4)
        found = await client.get("/v1/live")
    return found


def rates(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What happened between two looks: a worker that began to count meanwhile counts from then."""
    known = {one["worker"]: one for one in before["heard"]}
    seconds = 0.0
    counted: dict[str, dict[str, list[float]]] = {"accounts": {}, "repositories": {}, "reasons": {}}
    for worker in now["heard"]:
        earlier = known.get(worker["worker"])
        if earlier is not None and earlier["seconds"] > worker["seconds"]:  # it was started again
            earlier = None
        seconds = max(seconds, worker["seconds"] - (earlier["seconds"] if earlier else 0.0))
        for kind, cells in counted.items():
            old = {one["name"]: one for one in earlier[kind]} if earlier else {}
            for one in worker[kind]:
                cell = cells.setdefault(one["name"], [0.0, 0.0, 0.0])
                for at, key in enumerate(("requests", "failed", "bytes")):
                    cell[at] += one[key] - old.get(one["name"], {}).get(key, 0)
    running = [one for worker in now["heard"] for one in worker["requests"]]
    return {
        "at": now["at"],
        "seconds": round(seconds, 3),
        "workers": now["workers"],
        "heard": len(now["heard"]),
        "under_way": sum(worker["under_way"] for worker in now["heard"]),
        "requests": sorted(running, key=lambda one: -one["seconds"])[: limits.LIVE_REQUESTS],
        **{kind: _rows(cells, seconds) for kind, cells in counted.items()},
    }


def _rows(cells: dict[str, list[float]], seconds: float) -> list[dict[str, Any]]:
    each = max(seconds, 0.001)
    rows = [
        {"name": name, "requests": round(one[0] / each, 2), "failed": round(one[1] / each, 2),
         "bytes": round(one[2] / each)}
        for name, one in cells.items() if one[0] > 0
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["requests"], row["name"]))


def lines(found: dict[str, Any], width: int, height: int) -> list[str]:
    """A look as lines of at most `width` characters; at most `height` of them, 0 for as many as there are."""
    most = _NAMES if height else 1_000
    reasons = {row["name"]: row["requests"] for row in found["reasons"]}
    total = sum(reasons.values())
    told = "" if found["heard"] == found["workers"] else f"  {found['heard']} of {found['workers']} workers answer"
    size = megabytes(sum(row["bytes"] for row in found["reasons"]))
    shown = [
        f"{found['at'][11:19]}  {total:.1f} requests/s  {size}/s  {found['under_way']} under way{told}",
        "  ".join(f"{name} {rate:.1f}/s" for name, rate in reasons.items()) or "no request ended",
        "",
        *_table("ACCOUNT", found["accounts"], most, width),
        "",
        *_table("REPOSITORY", found["repositories"], most, width),
        "",
        f"{'SECONDS':>8}  {'WHO':<20}  REQUEST",
    ]
    for one in found["requests"]:
        who = safe(one["account"] or one["address"])
        shown.append(f"{one['seconds']:>8.1f}  {who[:20]:<20}  {safe(one['method'])} {safe(one['path'])}")
    if not found["requests"]:
        shown.append(f"{'-':>8}")
    return [line[:width] for line in (shown[:height] if height else shown)]


def _table(title: str, rows: list[dict[str, Any]], most: int, width: int) -> Iterable[str]:
    name = max(20, width - 44)
    yield f"{title:<{name}}  {'REQUESTS/S':>10}  {'FAILED/S':>10}  {'BYTES/S':>12}"
    for row in rows[:most]:
        size = megabytes(row["bytes"])
        yield f"{safe(row['name'])[:name]:<{name}}  {row['requests']:>10.1f}  {row['failed']:>10.1f}  {size:>12}"
    if len(rows) > most:
        yield f"and {len(rows) - most} more"
    if not rows:
        yield "-"
