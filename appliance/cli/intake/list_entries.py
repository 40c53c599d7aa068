"""`lockgate intake list`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from appliance.api.states import ENTRY_STATES, SUPERSEDED
from appliance.cli.intake.decide import count
from appliance.cli.shared.context import call, json_option, megabytes, show, station_option, table
from appliance.cli.shared.pages import whole_list
from appliance.cli.station.status import quota_lines
from bundles.io.display import safe

_STATES: Final = (*ENTRY_STATES[:4], SUPERSEDED, *ENTRY_STATES[4:])
"""Superseded entries follow released ones: they are."""


@click.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only entries that stand so.")
@station_option
@json_option
def list_(root: Path | None, state: str | None, as_json: bool) -> None:
    """What came in, each with where it stands and since when.

    superseded: it is released, and later releases stand for each of its tags.
    """
    document = whole_list(root, "/v1/intake", state="released" if state == SUPERSEDED else state or "")
    if state in (SUPERSEDED, "released"):
        document["items"] = [entry for entry in document["items"] if entry["standing"] == state]
    rows = [
        (entry["id"], _state(entry), entry["since"], entry["artifacts"], megabytes(entry["bytes"]), count(entry),
         entry["received"], entry["why"] or "-")
        for entry in document["items"]
    ]  # fmt: skip
    heads = ("ID", "STATE", "SINCE", "ARTIFACTS", "SIZE", "APPROVALS", "RECEIVED", "WHY")
    show(document, as_json, lambda: "\n".join([table(rows, heads), *_quotas(root)]))


def _quotas(root: Path | None) -> list[str]:
    """What sources with a quota have in quarantine."""
    return [safe(line) for line in quota_lines(call(root, lambda client: client.status())["quarantined"])]


def _state(entry: dict[str, Any]) -> str:
    return f"{entry['standing']} [!!] {entry['damaged']}" if entry["damaged"] else str(entry["standing"])
