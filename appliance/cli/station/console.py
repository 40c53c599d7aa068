"""`lockgate console`."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import click

from appliance.cli.shared.context import folder_option, station_root
from bundles.errors import EXIT_USAGE


@click.command()
@folder_option
@click.option(
    "--demo", is_flag=True, help="On two stations made for this alone, for training; nothing is left of them."
)
@click.option("--plain", is_flag=True, help="As prompts and lines: for screen readers, serial lines and TERM=dumb.")
def console(root: Path | None, demo: bool, plain: bool) -> None:
    """The console: everything the station does, from the keyboard."""
    # By name: the console is made over the control client, and nothing of the station may depend on it.
    application = importlib.import_module("tui.app")
    if not plain and application.refused():
        raise SystemExit(EXIT_USAGE)
    if demo:
        raise SystemExit(_demo(application, plain=plain))
    from appliance.cli.shared.first_steps import FirstSteps

    station = station_root(root)
    if plain:
        raise SystemExit(application.run_plain(station, first=FirstSteps(station)))
    raise SystemExit(application.run(station, first=FirstSteps(station)))


def _demo(application: ModuleType, *, plain: bool) -> int:
    """The console at the demo's inside; the exit status. Raises UsageError, before anything is made, where the form in
    lines has no terminal."""
    from appliance.demo.begin import Demo

    if plain:
        application.require_terminal()
    click.echo("lockgate: making the demo's two stations", err=True)
    with Demo() as demo:
        if plain:
            demo.ready()
            click.echo(demo.hint(plain=True))
            status: int = application.run_plain(demo.inside)
        else:
            training = application.Training(other=demo.outside, hint=demo.hint(), ready=demo.ready)
            status = application.run(demo.inside, training=training)
    if demo.failed:
        click.echo(f"lockgate: the demo was not filled to its end: {demo.failed}", err=True)
    return status
