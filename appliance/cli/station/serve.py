"""`lockgate serve`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.shared.context import folder_option, station_root


@click.command()
@folder_option
@click.option("--listen", metavar="HOST:PORT", help="Where the registry listens (default: the configuration's).")
def serve(root: Path | None, listen: str | None) -> None:
    """Run the station until it is told to stop: registry, control socket and jobs.

    Prints one line with its address when it answers. Port 0 takes a free one.
    """
    from appliance.serve.supervisor import serve as run

    raise SystemExit(run(station_root(root), listen))
