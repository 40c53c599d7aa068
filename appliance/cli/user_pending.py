"""`lockgate user pending`, `confirm` and `cancel`: changes of accounts that wait for a second person."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.context import call, json_option, show, station_option, table
from bundles.display import safe

_PATH = "/v1/account-changes"


@click.command()
@click.option("--all", "every", is_flag=True, help="Those that were confirmed, cancelled or are over, too.")
@station_option
@json_option
def pending(root: Path | None, every: bool, as_json: bool) -> None:
    """Changes of accounts that wait for a second person, or for their time. A person sees their own."""
    document = call(root, lambda client: client.get(_PATH, state="all" if every else "waits"))
    rows = [(one["id"], one["text"], one["asked_by"], one["asked"], _state(one)) for one in document["items"]]
    text = table(rows, ("ID", "CHANGE", "ASKED BY", "ASKED", "STATE")) if rows else "nothing waits"
    show(document, as_json, lambda: text)


def _state(one: dict[str, Any]) -> str:
    if one["state"] == "waits":
        return f"takes effect {one['due']}" if one["due"] else f"waits, until {one['expires']}"
    how = {"alone": "at once", "own": "their own", "second": "confirmed", "delay": "by waiting"}.get(one["how"], "")
    return " ".join(part for part in (one["state"], one["decided"], how, one["why"]) if part)


@click.command()
@click.argument("change_id", metavar="ID")
@station_option
@json_option
def confirm(root: Path | None, change_id: str, as_json: bool) -> None:
    """Confirm a change: of one's own account, or as a second administrator. It takes effect at once."""
    document = call(root, lambda client: client.post(f"{_PATH}/{quote(change_id, safe='')}/confirm", {}))
    show(document, as_json, lambda: safe(f"confirmed: {document['text']}"))


@click.command()
@click.argument("change_id", metavar="ID")
@station_option
@json_option
def cancel(root: Path | None, change_id: str, as_json: bool) -> None:
    """Cancel a change that waits: of one's own account, or as an administrator."""
    document = call(root, lambda client: client.post(f"{_PATH}/{quote(change_id, safe='')}/cancel", {}))
    show(document, as_json, lambda: safe(f"cancelled: {document['text']}"))


def report(document: dict[str, Any], as_json: bool, line: str) -> None:
    """Print a change that was asked for: `line` where it is done. Raises IncompleteError where it waits."""
    from bundles.errors import IncompleteError

    waits = document.get("waits")
    show(document, as_json, lambda: f"waits: {safe(waits['text'])}\n{safe(waits['id'])}" if waits else line)
    if waits:
        who = "a second administrator" if waits["what"] == "grant" else f"{waits['account']} or a second administrator"
        until = f"; without one it takes effect at {waits['due']}" if waits["due"] else ""
        raise IncompleteError(
            "the change waits for a second person",
            thing=f"{waits['id']}: {waits['text']}",
            remedy=f"{who} confirms it: lockgate user confirm {waits['id']}{until}",
        )


def lines_of(changes: list[dict[str, Any]]) -> list[str]:
    """What a release is shown of changes of accounts, a line each."""
    return [
        safe(f"[!!] account: {one['text']}, by {one['asked_by']} at {one['asked']}: {_state(one)}") for one in changes
    ]
