"""`lockgate console`."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from appliance.cli.shared.context import folder_option, station_root


@click.command()
@folder_option
@click.option("--demo", is_flag=True, help="On an in-memory station with lifelike data, for training.")
def console(root: Path | None, demo: bool) -> None:
    """The console: everything the station does, from the keyboard."""
    # By name: the console is made over the control client, and nothing of the station may depend on it.
    application = importlib.import_module("tui.app")
    if demo:
        raise SystemExit(application.run(None, demo=True))
    from appliance.cli.shared.first_steps import FirstSteps

    station = station_root(root)
    raise SystemExit(application.run(station, demo=False, first=FirstSteps(station)))
