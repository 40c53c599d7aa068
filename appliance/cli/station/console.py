"""`lockgate console`."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from appliance.cli.shared.context import folder_option, station_root
from bundles.errors import UsageError


@click.command()
@folder_option
@click.option("--demo", is_flag=True, help="On an in-memory station with lifelike data, for training.")
@click.option("--plain", is_flag=True, help="As prompts and lines: for screen readers, serial lines and TERM=dumb.")
def console(root: Path | None, demo: bool, plain: bool) -> None:
    """The console: everything the station does, from the keyboard."""
    # By name: the console is made over the control client, and nothing of the station may depend on it.
    application = importlib.import_module("tui.app")
    if demo and plain:
        raise UsageError("the demo has no form in lines", thing="--demo --plain", remedy="leave one of them out")
    if demo:
        raise SystemExit(application.run(None, demo=True))
    from appliance.cli.shared.first_steps import FirstSteps

    station = station_root(root)
    if plain:
        raise SystemExit(application.run_plain(station, first=FirstSteps(station)))
    raise SystemExit(application.run(station, demo=False, first=FirstSteps(station)))
