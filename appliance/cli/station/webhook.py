"""`lockgate webhook`: whom the station tells of acts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from appliance.cli.shared.context import call, json_option, show, station_option, table
from bundles.io.display import safe, some


@click.group()
def webhook() -> None:
    """Endpoints that are told of acts: list, replay. They are made in config.toml."""


@webhook.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The endpoints of config.toml, and how many messages wait for each or were not taken."""
    document = call(root, lambda client: client.get("/v1/webhooks"))
    rows = [
        (one["name"], one["host"], ", ".join(one["acts"]), one["waiting"], one["dead"], safe(one["error"]) or "-")
        for one in document["items"]
    ]
    show(document, as_json, lambda: table(rows, ("NAME", "HOST", "ACTS", "WAITING", "DEAD", "WHY")))


@webhook.command()
@click.argument("name", metavar="NAME")
@station_option
@json_option
def replay(root: Path | None, name: str, as_json: bool) -> None:
    """Send what an endpoint did not take again, once it is well."""
    document = call(root, lambda client: client.post(f"/v1/webhooks/{quote(name, safe='')}/replay", {}))
    show(document, as_json, lambda: f"{document['name']}: {some(document['messages'], 'message')} to be sent again")
