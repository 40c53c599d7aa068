"""`lockgate replica`: stations that this one follows, and the pair of an inside station and its stand-by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.completion import REPLICA
from appliance.cli.shared.context import call, detach_option, json_option, show, station_option, table
from appliance.cli.transfer import standby
from bundles.errors import IncompleteError, UsageError
from bundles.io.display import safe, some

_WHY = {
    "moved-here": "moved here, and not there",
    "moved-both": "moved on both sides",
    "went-back": "went back there",
}

_FRESH = 60
"""Seconds for which a look that found everything equal counts, at least: a look may take as long."""


@click.group()
def replica() -> None:
    """Follow other stations, and stand by for one: list, status, sync; join, follow, promote, demote."""


for _command in (standby.join, standby.follow, standby.promote, standby.demote):
    replica.add_command(_command)


@replica.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The stations that this one follows, and how far behind it is."""
    document = call(root, lambda client: client.get("/v1/replicas"))
    rows = [
        (one["name"], one["url"], one["account"] or "-", " ".join(one["patterns"]),
         " ".join(one["hours"]) or ("always" if one["follow"] else "when asked"), _lag(one), one["fault"] or "-")
        for one in document["items"]
    ]  # fmt: skip
    text = table(rows, ("REPLICA", "PRIMARY", "ACCOUNT", "REPOSITORIES", "HOURS", "LAG", "FAULT"))
    show(document, as_json, lambda: text if rows else "no station is followed: config.toml names none")


@replica.command()
@click.argument("name", type=REPLICA, metavar="NAME", required=False)
@station_option
@json_option
def status(root: Path | None, name: str | None, as_json: bool) -> None:
    """How this station stands to those that it follows, by repository: tags, those that are behind, and the lag. Of a
    pair: the role, the term, and which state is held.

    What a primary showed before the lag is here. Exit status 4 where anything is not here as there, or where no look
    found that lately: within a minute, or three times `every`; and where a stand-by holds no state, or the last look
    failed. A stand-by does not run: its folder is asked.
    """
    pair = standby.own_status(root)
    if pair is not None:
        show(pair, as_json, lambda: standby.told_status(pair))
        if why := standby.why_not_well(pair):
            raise IncompleteError(
                "the pair is not well", thing=safe(why), remedy="see docs/howto/stand-by.md", code="standby-not-well"
            )
        return
    document = call(root, lambda client: client.get("/v1/replicas"))
    every = document["items"]
    named = [one for one in every if name in (None, one["name"])]
    if name is not None and not named:
        known = ", ".join(one["name"] for one in every)
        remedy = f"there are {known}" if known else "there is none yet"
        raise UsageError(
            "no such replica", thing=safe(name[:80]), remedy=f"{remedy}; it is named in config.toml as [replicas.NAME]"
        )
    show({"items": named}, as_json, lambda: "\n".join(map(_told, named)) or "no station is followed")
    for one in named:
        if why := _why_not_whole(one):
            raise IncompleteError(
                "not everything is here as at the primary", thing=f"{one['name']}: {safe(why)}",
                remedy=f"run: lockgate replica sync {one['name']} --now",
            )  # fmt: skip


def _lag(one: dict[str, Any]) -> str:
    return "-" if one["lag"] is None else f"{one['lag']} s"


def _told(one: dict[str, Any]) -> str:
    lines = [f"{one['name']}: {one['url']}: lag {_lag(one)}, last look {one['began'] or 'never'}"]
    if one["fault"]:
        lines.append(f"  {safe(one['fault'])}")
    rows = [
        (safe(each["name"]), str(each["tags"]), str(each["behind"]), str(each["gone"]), _lag(each))
        for each in one["repositories"]
    ]
    if rows:
        lines.append(table(rows, ("REPOSITORY", "TAGS", "BEHIND", "GONE", "LAG")))
    for each in one["repositories"]:
        if each["fault"]:
            lines.append(f"{safe(each['name'])}: {safe(each['fault'])}")
        lines += [
            f"{safe(each['name'])}:{safe(tag['tag'])} {_WHY[tag['why']]}: here {safe(tag['here'] or 'nowhere')},"
            f" there {safe(tag['there'] or 'nowhere')}"
            for tag in each["stuck"]
        ]
        if each["conflicts"] > len(each["stuck"]):
            lines.append(f"{safe(each['name'])}: {each['conflicts'] - len(each['stuck'])} more that are not followed")
    return "\n".join(lines)


def _why_not_whole(one: dict[str, Any]) -> str:
    """Why a replica is not known to be as its primary; "" where it is."""
    if one["fault"]:
        return str(one["fault"])
    if not one["whole"]:
        return "no look has found everything yet"
    if one["lag"] > max(_FRESH, 3 * one["every"]):
        return f"the last look that found everything equal was {one['lag']} s ago"
    behind = [each for each in one["repositories"] if each["behind"]]
    return f"{behind[0]['name']} has {some(behind[0]['behind'], 'tag')} behind" if behind else ""


@replica.command()
@click.argument("name", type=REPLICA, metavar="NAME")
@click.option("--now", is_flag=True, help="Also outside the replica's hours.")
@click.option(
    "--take", multiple=True, metavar="REPO:TAG",
    help="Take this tag as the primary has it, whatever stands here; may be given several times.",
)  # fmt: skip
@detach_option
@station_option
@json_option
def sync(root: Path | None, name: str, now: bool, take: tuple[str, ...], detach: bool, as_json: bool) -> None:
    """Compare everything with the primary now, and take what differs.

    Exit status 4 where anything could not be compared, or is not here as there.
    """
    from appliance.cli.shared.follow import run_job

    params = {"name": name, "once": True, "now": now, "take": list(take)}
    result = run_job(
        root, "replica", params, detach=detach, partly=lambda part: show(part, as_json, lambda: _synced(part))
    )
    if detach:
        show(result, as_json, lambda: str(result["job"]))
        return
    show(result, as_json, lambda: _synced(result))


def _synced(result: dict[str, Any]) -> str:
    lines = [f"followed {safe(one)}" for one in result["followed"]]
    lines += [f"blocked {safe(one)}" for one in result["blocked"]]
    lines += [f"let go {safe(one)}" for one in result["ended"]]
    lines += [
        f"left {safe(one['tag'])}: {_WHY[one['why']]} (here {safe(one['here'] or 'nowhere')},"
        f" there {safe(one['there'] or 'nowhere')})"
        for one in result["stuck"]
    ]
    lines += [f"failed {safe(one['thing'])}: {safe(one['why'])}" for one in result["failed"]]
    compared = f"{some(result['tags'], 'tag')} of {some(result['repositories'], 'repository', 'repositories')} compared"
    if result["gone"]:
        compared += f"; {some(result['gone'], 'tag')} here that the primary has no more"
    if result["withheld"]:
        compared += f"; {some(result['withheld'], 'tag')} that the primary gives to nobody"
    return "\n".join([*lines, compared])
