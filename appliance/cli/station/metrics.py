"""`lockgate metrics`: what monitoring loads, made from config.toml."""

from __future__ import annotations

import json
from pathlib import Path

import click

from appliance.cli.shared.context import folder_option, json_option, show, station_root

_DASHBOARDS = ("executive", "on-call", "debug")


@click.group()
def metrics() -> None:
    """What monitoring loads: rules, dashboard."""


@metrics.command()
@folder_option
@json_option
def rules(root: Path | None, as_json: bool) -> None:
    """Print recording and alert rules for Prometheus, by the objectives of config.toml.

    The recording rules have Sloth's names. Alarms carry the objective, its owner and its contact. Needs no station that
    runs.
    """
    from appliance.monitoring.rules import rule_file, rule_groups
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config

    slo = load_config(StationPaths(station_root(root)).config).slo
    show({"groups": rule_groups(slo)}, as_json, lambda: rule_file(slo).rstrip())


@metrics.command()
@click.argument("name", type=click.Choice(_DASHBOARDS), metavar="NAME")
@folder_option
@json_option
def dashboard(name: str, root: Path | None, as_json: bool) -> None:
    """Print a dashboard for Grafana: executive, on-call or debug.

    Grafana asks for the data source when it is imported. Needs no station that runs.
    """
    from appliance.monitoring.dashboards import dashboard as made

    station_root(root)
    document = made(name)
    show(document, as_json, lambda: json.dumps(document, indent=2))
