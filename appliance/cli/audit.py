"""`lockgate audit`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.context import call, json_option, show, station_option, table


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command("show")
@click.option("--limit", default=50, show_default=True, help="The newest so many.")
@click.option("--filter", "text", default="", help="Events that contain this.")
@station_option
@json_option
def show_(root: Path | None, limit: int, text: str, as_json: bool) -> None:
    """The newest acts on this station, the latest last."""
    document = call(root, lambda client: client.get("/v1/audit", limit=limit, filter=text))
    rows = [
        (
            event["time"],
            event["act"],
            event["outcome"],
            event["actor"],
            event["thing"],
            event["detail"].get("reason", ""),
        )
        for event in document["items"]
    ]
    show(document, as_json, lambda: table(rows, ("TIME", "ACT", "OUTCOME", "WHO", "THING", "REASON")))
