"""`lockgate config`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.shared.context import folder_option, json_option, show, station_root
from bundles.io.display import safe


@click.group()
def config() -> None:
    """The station's config.toml: check."""


@config.command()
@folder_option
@json_option
def check(root: Path | None, as_json: bool) -> None:
    """Check config.toml as `serve` does, without starting the station.

    Names each setting that is wrong, with its value and what may stand there, and each key that no setting has, with
    the one that was meant. Where all of them are right, the files, the group and the addresses that they name are
    looked at, and approvals.toml too. Exit status 2: something is to be corrected.
    """
    from appliance.paths import StationPaths
    from appliance.serve.preflight import objections
    from appliance.settings.faults import faults
    from appliance.settings.station import load_config
    from bundles import limits
    from bundles.errors import UsageError
    from bundles.io.files import read_small

    paths = StationPaths(station_root(root))
    items: list[dict[str, Any]] = [
        {"key": fault.key, "value": fault.value, "what": fault.what, "thing": fault.thing, "remedy": fault.remedy}
        for fault in faults(read_small(paths.config, limits.KEY_FILE))
    ]
    if not items:
        items = [
            {"key": "", "value": "", "what": error.what, "thing": error.thing, "remedy": error.remedy}
            for error in objections(paths, load_config(paths.config))
        ]
    document = {"path": str(paths.config), "ok": not items, "items": items}
    lines = [safe(UsageError(item["what"], thing=item["thing"], remedy=item["remedy"]).diagnostics()) for item in items]
    show(document, as_json, lambda: "\n".join(lines) or f"{paths.config}: nothing to correct")
    if items:
        raise UsageError(
            f"{len(items)} settings to correct" if items[1:] else "a setting to correct",
            thing=str(paths.config),
            remedy="correct them, then run: lockgate config check",
        )
