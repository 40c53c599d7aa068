"""`lockgate media`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.shared.context import call, json_option, megabytes, show, station_option, table
from bundles.io.display import safe


@click.group()
def media() -> None:
    """Media: what is mounted, and what lies on it."""


@media.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The media that are mounted below /media, /run/media and /mnt."""
    document = call(root, lambda client: client.get("/v1/media"))
    rows = [
        (
            safe(entry["path"]),
            safe(entry["label"]) or "-",
            entry["filesystem"],
            megabytes(entry["free"]),
            megabytes(entry["size"]),
            "read-only" if entry["read_only"] else "writable",
            ", ".join(map(safe, entry["bundles"])) or "-",
        )
        for entry in document["items"]
    ]
    heads = ("PATH", "LABEL", "FILE SYSTEM", "FREE", "SIZE", "STATE", "BUNDLES")
    show(document, as_json, lambda: table(rows, heads))
