"""`lockgate bundle list`, `deltas` and `void`: what was made here, and what of it is known to be inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.shared.context import call, json_option, megabytes, show, station_option, table
from appliance.cli.shared.pages import whole_list
from bundles.io.display import safe


@click.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The bundles that this station made, each with where it stands and since when.

    to-sign: it waits for its signature. signed: its media are being written. unfinished: it was signed and is not on
    its media; its build's own command finishes it. written. superseded: later bundles carry all its tags. voided: it
    will never come in. quarantined, approved, released, rejected, withdrawn: by the inside's latest receipt.
    """
    document = whole_list(root, "/v1/bundles")
    rows = [
        (entry["id"], entry["standing"], entry["since"], _where(entry), entry["why"] or "-", entry["digest"] or "-")
        for entry in document["items"]
    ]
    show(document, as_json, lambda: table(rows, ("ID", "STATE", "SINCE", "WHERE", "WHY", "DIGEST")))


def _where(entry: dict[str, Any]) -> str:
    """Where a bundle is: the media that it was written to, or that it is not on them."""
    if entry["state"] == "signed":
        return "not on its media"
    return ", ".join(str(Path(place).parent) for place in entry["places"]) or "-"


@click.command()
@station_option
@json_option
def deltas(root: Path | None, as_json: bool) -> None:
    """What each inside is known to hold: confirmed by its last receipt, or assumed from what was carried."""
    document = call(root, lambda client: client.get("/v1/deltas"))
    rows = [
        (
            entry["stream"],
            entry["last_sequence"],
            _receipt(entry),
            f"{entry['confirmed_blobs']} ({megabytes(entry['confirmed_bytes'])})" if entry["inventory"] else "-",
            f"{entry['carried_blobs']} ({megabytes(entry['carried_bytes'])})",
            entry["want_lists"],
        )
        for entry in document["items"]
    ]
    heads = ("STREAM", "LAST", "RECEIPT", "CONFIRMED", "CARRIED", "WANT-LISTS")
    show(document, as_json, lambda: table(rows, heads))


def _receipt(entry: dict[str, Any]) -> str:
    if entry["receipt"] is None:
        return "none"
    return f"{entry['receipt']} of {entry['receipt_created']}, at {entry['confirmed_sequence'] or 0}"


@click.command()
@click.argument("name", metavar="ID")
@click.option("--why", required=True, help="What became of it.")
@click.option("--with-later", is_flag=True, help="Void the later ones of its stream too; without it they are refused.")
@station_option
@json_option
def void(root: Path | None, name: str, why: str, with_later: bool, as_json: bool) -> None:
    """Say that a signed bundle will never come in, so that the stream can go on without it.

    Later ones of its stream follow it, and cannot come in without it: they are named, and voided with --with-later. The
    next bundle names the numbers. One that came in after all counts again with the site's next receipt.
    """
    body = {"why": why, "with_later": with_later}
    document = call(root, lambda client: client.post(f"/v1/bundles/{quote(name, safe='')}/void", body))
    show(document, as_json, lambda: "\n".join(safe(bundle) for bundle in document["voided"]))
