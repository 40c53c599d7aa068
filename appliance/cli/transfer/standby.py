"""`lockgate replica join`, `follow`, `promote`, `demote`: the pair of an inside station and its stand-by."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.completion import KEY
from appliance.cli.shared.context import folder_option, json_option, load_key, passphrase_option, show, station_root
from bundles.errors import FailedError, IncompleteError, LockgateError, RefusedError, UsageError
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.standby.documents import Role
    from appliance.standby.promoting import Outlook

_OFF = (
    "see that the old primary is off before the second person signs: where the way between them is cut, no program can"
    " tell it from one that died"
)


@click.command()
@click.option("--from", "exchange", type=click.Path(path_type=Path), required=True, metavar="DIR",
              help="The exchange that the primary writes its states to.")  # fmt: skip
@folder_option
@json_option
def join(root: Path | None, exchange: Path, as_json: bool) -> None:
    """Make this folder a stand-by: a copy of the primary's whole folder, or a former primary.

    It is not started any more until it is promoted. What a former primary recorded that the promoted one does not know
    is told: it is not merged.
    """
    from appliance.standby.joining import join as joined

    role, left = joined(station_root(root), exchange.absolute())
    document = {**_document(role), "left": {"acts": dict(left.acts), "things": left.things}}

    def text() -> str:
        lines = [f"{role.site} is a stand-by in term {role.term}; next: lockgate replica follow"]
        if left.acts:
            count = sum(left.acts.values())
            lines.append(f"[!!] {some(count, 'act')} of this folder the other station does not know:")
            lines += [f"  {number} {act}" for act, number in sorted(left.acts.items())]
            lines += [f"  {thing}" for thing in left.things]
        return "\n".join(map(safe, lines))

    show(document, as_json, text)


@click.command()
@click.option("--from", "exchange", type=click.Path(path_type=Path), metavar="DIR",
              help="The exchange, in the place of the one that it joined.")  # fmt: skip
@click.option("--once", is_flag=True, help="Take the newest state and end.")
@click.option("--every", type=click.IntRange(1, 86_400), default=5, show_default=True, metavar="SECONDS",
              help="Seconds between two looks.")  # fmt: skip
@click.option("--rate", type=click.IntRange(0), default=0, metavar="BYTES", help="Bytes a second; 0 for no limit.")
@folder_option
@json_option
def follow(root: Path | None, exchange: Path | None, once: bool, every: int, rate: int, as_json: bool) -> None:
    """Take the states of the primary, until told to end. A stand-by runs this in the place of `serve`.

    A state is held once all of it was checked. With --once the exit status says whether the newest one is held.
    """
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config
    from appliance.sftp.pace import Pace
    from appliance.standby.documents import STANDBY
    from appliance.standby.role import find_role, require_role
    from appliance.standby.taking import Taker
    from appliance.station import station_lock

    folder = station_root(root)
    paths = StationPaths(folder)
    role = require_role(folder, find_role(paths, load_config(paths.config).site), STANDBY)
    taker = Taker(folder, (exchange or Path(role.exchange)).absolute(), Pace(rate).take)
    if once:
        with station_lock(paths):
            role, _ = taker.take()
        show(_document(role), as_json, lambda: _told(role))
        return
    said = ""
    while True:
        try:
            with station_lock(paths):
                role, newer = taker.take()
            if newer or said:
                click.echo(_told(role))
            said = ""
        except LockgateError as error:
            if error.code in ("standby-role", "standby-none"):
                raise
            if error.diagnostics() != said:
                said = error.diagnostics()
                click.echo(f"lockgate: {safe(said)}", err=True)
        time.sleep(every)


@click.command()
@click.option("--key", "key_name", type=KEY, metavar="KEY", help="A release key: a name in the key folder, or a path.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@passphrase_option
@folder_option
@json_option
def promote(root: Path | None, key_name: str | None, yes: bool, passphrase_fd: int | None, as_json: bool) -> None:
    """Make this stand-by the primary. Two people say so, each with a release key; the second one's word does it.

    It says from when the state is, and where each stream stands in it. Imports are then shut until two people have
    entered where each stream stood, unless that state is the last word of a primary that was demoted. Exit status 4
    where a second person is still to say so.
    """
    from appliance.standby import promoting
    from appliance.standby.documents import PROMOTING

    folder = station_root(root)
    outlook = promoting.look(folder)
    if not as_json:
        click.echo("\n".join(map(safe, _outlook(outlook))), err=True)
    if outlook.role.role != PROMOTING:
        _ask(outlook.role.site, "make it the primary", yes=yes)
    key = None if key_name is None else load_key(folder, key_name, passphrase_fd)
    done = promoting.promote(folder, key)
    document = {
        **_document(done.role), "people": list(done.owners), "shut": done.shut, "age": outlook.age,
        "streams": outlook.streams, "lacks": len(outlook.state.lacks),
    }  # fmt: skip
    promoted = done.role.role == "primary"

    def text() -> str:
        if not promoted:
            return f"{', '.join(done.owners)} said so; a second person gives the same command"
        lines = [f"{done.role.site} is the primary in term {done.role.term}; start it: lockgate serve"]
        if done.shut:
            lines.append(
                "imports are shut; two people each enter where each stream stood: lockgate intake stream reset STREAM"
                " --receipt FILE --key KEY --why TEXT"
            )
        if done.role.fault:
            lines.append(f"[!!] the old primary is not told: {done.role.fault}")
        return "\n".join(lines)

    show(document, as_json, lambda: "\n".join(map(safe, text().splitlines())))
    if not promoted:
        raise IncompleteError(
            "a second person is to say so", thing=done.role.site, remedy="another one gives the same command"
        )


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@folder_option
@json_option
def demote(root: Path | None, yes: bool, as_json: bool) -> None:
    """End this primary, which is stopped: it says its last word into the exchange, and is a stand-by from then on.

    Who is promoted from that state takes bundles in at once: its ledger is proven current.
    """
    from appliance.paths import StationPaths
    from appliance.standby.documents import ENDING, PRIMARY
    from appliance.standby.joining import demote as ended
    from appliance.standby.role import find_role, require_role
    from bundles.signing.trust import site_of

    folder = station_root(root)
    require_role(folder, find_role(StationPaths(folder), site_of(folder / "trust")), PRIMARY, ENDING)
    _ask(site_of(folder / "trust"), "end it as the primary", yes=yes)
    role = ended(folder)
    if role.role == "fenced":
        raise RefusedError(
            "another station of this site was promoted already", thing=role.site,
            remedy="take up its states: lockgate replica join --from DIR", code="standby-fenced",
        )  # fmt: skip
    show(_document(role), as_json, lambda: safe(f"{role.site} ended as the primary of term {role.term}; next, at the"
         " stand-by: lockgate replica follow --once, then lockgate replica promote"))  # fmt: skip


def own_status(root: Path | None) -> dict[str, Any] | None:
    """What a folder is in its pair, for who has the folder; None for a station that is in none, or that runs as the
    primary."""
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config
    from appliance.standby.role import find_role

    try:
        paths = StationPaths(station_root(root))
        role = find_role(paths, load_config(paths.config).site)
    except (UsageError, FailedError, PermissionError):
        return None
    return None if role is None else _document(role)


def told_status(pair: dict[str, Any]) -> str:
    """The lines of `own_status`."""
    lines = [f"{pair['site']}: {pair['role']} in term {pair['term']}, node {pair['node']}"]
    if pair["role"] == "primary":
        lines.append(f"  last state {pair['number']} of {pair['created'] or 'never'}; the stand-by took one of"
                     f" {pair['heard'] or 'none yet'}")  # fmt: skip
    else:
        what = f"holds state {pair['number']} of {pair['created']}" if pair["number"] else "holds no state"
        lines.append(f"  {what}{', which its primary ended with' if pair['final'] else ''}")
    if pair["fault"]:
        lines.append(f"  [!!] {pair['fault']}")
    return "\n".join(map(safe, lines))


def why_not_well(pair: dict[str, Any]) -> str:
    """Why a stand-by is not as its primary, as far as it knows; "" where it is."""
    if pair["fault"]:
        return str(pair["fault"])
    if pair["role"] == "standby" and not pair["number"]:
        return "no state is held yet"
    return "" if pair["role"] in ("primary", "standby") else f"this folder is {pair['role']}"


def _document(role: Role) -> dict[str, Any]:
    from appliance import clock

    since = role.created if role.role != "primary" else role.heard
    return {
        "site": role.site, "role": role.role, "term": role.term, "node": role.node, "number": role.number,
        "created": role.created, "head": role.head, "final": role.final, "heard": role.heard,
        "exchange": role.exchange, "fault": role.fault,
        "lag": max(0, clock.seconds(clock.now()) - clock.seconds(since)) if since else None,
    }  # fmt: skip


def _told(role: Role) -> str:
    last = "; it is the primary's last word" if role.final else ""
    return safe(f"{role.site}: state {role.term}/{role.number} of {role.created} is held{last}")


def _outlook(outlook: Outlook) -> list[str]:
    role, state = outlook.role, outlook.state
    lines = [f"{role.site}: term {role.term}, state {role.number} of {state.created}, {outlook.age} s ago"]
    if role.final:
        lines.append("  it is the primary's last word: nothing is missing")
    else:
        lines.append(f"  what the primary did since {state.created} is lost, and which acts these are is not known")
        lines.append(f"  {_OFF}")
    if state.lacks:
        lines.append(f"  {some(len(state.lacks), 'blob')} that the primary had lost already")
    for one in outlook.streams:
        lines.append(f"  {one['stream']} stands at {one['sequence']} {one['digest']}")
    if outlook.said:
        lines.append(f"  said so already: {', '.join(outlook.said)}")
    return lines


def _ask(site: str, what: str, *, yes: bool) -> None:
    """Go on only where somebody says so. Raises UsageError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("this is confirmed", thing=site, remedy="give --yes, or call it at a terminal")
    if click.prompt(f"Type the site's name to {what} ({site})", err=True) != site:
        raise UsageError("the site's name was not typed", thing=site, remedy="nothing was changed")
