"""`lockgate close`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from appliance.cli.people.user import password_option, read_password
from appliance.cli.shared.context import folder_option, json_option, show, station_root


@click.command()
@click.argument("name", required=False)
@click.option("--full-name", default="", metavar="TEXT", help="Whose account the first administrator's is.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="What clients call it by, for its certificate.")
@password_option
@folder_option
@json_option
def close(
    root: Path | None, name: str | None, full_name: str, names: tuple[str, ...], password_fd: int | None, as_json: bool
) -> None:
    """Make an open station a closed one: a CA, a certificate, and NAME as first administrator, in one step.

    From then on it speaks TLS, lets nobody in without an account, and takes two people for a release. It is never
    opened again. The station must not run. What it holds stays, and so do its keys and what it trusts.
    """
    from appliance.cli.station.closing import Administrator, Closing
    from bundles.errors import UsageError

    station = station_root(root)
    closing, administrator = Closing(station), None
    if closing.prepare(name, full_name, names):
        if name is None:
            if not sys.stdin.isatty():
                raise UsageError(
                    "nobody is administrator yet", thing=str(station), remedy="name one: lockgate close NAME"
                )
            click.echo(
                f"The station in {station} gets TLS and accounts, takes two people for a release, and is never opened"
                " again.",
                err=True,
            )
            name = str(click.prompt("Name of the first administrator", err=True))
            closing.prepare(name, full_name, names)
        password = read_password(password_fd, f"New password of {name}", confirm=True)
        administrator = Administrator(name, full_name, password)
    done = closing.close(administrator, names)
    steps = [
        f"lockgate serve -C {station}",
        f"lockgate user login {done.administrator or 'NAME'} -C {station}",
        f"lockgate guide administrator -C {station}",
    ]
    document = {
        "root": str(station), "site": done.site, "open": False, "administrator": done.administrator,
        "certificate": done.not_after, "next": steps,
    }  # fmt: skip
    lines = [f"station {done.site} is closed", f"its certificate is good until {done.not_after}"]
    if done.administrator:
        lines.append(f"{done.administrator} is administrator; nobody has another role yet")
    lines += ["what was pushed or released while it was open stays: see lockgate intake check", "next:"]
    show(document, as_json, lambda: "\n".join([*lines, *(f"  {step}" for step in steps)]))
