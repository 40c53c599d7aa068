"""`lockgate user pending`, `confirm` and `cancel`: changes of accounts that wait for a second person."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.shared.context import call, json_option, show, station_option, table
from bundles.io.display import safe

_PATH = "/v1/account-changes"
_NAMED = 5
"""Administrators that are named as who may confirm; there may be more."""


@click.command()
@click.option("--all", "every", is_flag=True, help="Those that were confirmed, cancelled or are over, too.")
@station_option
@json_option
def pending(root: Path | None, every: bool, as_json: bool) -> None:
    """Changes of accounts that wait for a second person, or for their time. A person sees their own."""
    document = call(root, lambda client: client.get(_PATH, state="all" if every else "waits"))
    rows = [(one["id"], one["text"], one["asked_by"], one["asked"], _state(one)) for one in document["items"]]
    text = table(rows, ("ID", "CHANGE", "ASKED BY", "ASKED", "STATE")) if rows else "nothing waits"
    text = "\n".join([text, *(line for one in document["items"] for line in _credentials(one))])
    show(document, as_json, lambda: text)


def credential_line(one: dict[str, Any]) -> str:
    """A credential, and who set it and when."""
    name = {"password": "password", "uid": "uid", "bind-key": "key", "secret": "secret"}.get(one["what"], one["what"])
    text = f"{name} {one['thing']}".strip() + f": set by {one['set_by'] or 'somebody unknown'} at {one['at']}"
    if one["under"]:
        text += f", logged in with what {one['under']} had set"
    if one["confirmed_by"]:
        text += f", confirmed by {one['confirmed_by']}"
    return safe(f"{'[!!]' if one['foreign'] else '[ok]'} {text}")


def _credentials(one: dict[str, Any]) -> list[str]:
    """What whoever confirms a grant is to see of its account, a line each."""
    held = one.get("credentials") or []
    head = [safe(f"credentials of {one['account']} ({one['id']}):")] if held else []
    return head + [f"  {credential_line(credential)}" for credential in held]


def _state(one: dict[str, Any]) -> str:
    if one["state"] == "waits":
        return f"takes effect {one['due']}" if one["due"] else f"waits, until {one['expires']}"
    how = {
        "alone": "at once",
        "own": "their own",
        "second": "confirmed",
        "delay": "by waiting",
        "before": "set before a role that took effect by waiting",
    }.get(one["how"], "")
    return " ".join(part for part in (one["state"], one["decided"], how, one["why"]) if part)


@click.command()
@click.argument("change_id", metavar="ID")
@station_option
@json_option
def confirm(root: Path | None, change_id: str, as_json: bool) -> None:
    """Confirm a change: of one's own account, or as a second administrator. It takes effect at once.

    What another than the person had set of a new officer's or administrator's credentials then waits for a second
    person, too.
    """
    document = call(root, lambda client: client.post(f"{_PATH}/{quote(change_id, safe='')}/confirm", {}))
    lines = [safe(f"confirmed: {document['text']}")]
    for one in document["then"]:
        lines.append(safe(f"[!!] not in force: {one['text']}, set by {one['asked_by']} before; to let it count:"))
        lines.append(safe(f"     {one['id']}: {_who(one)}"))
    show(document, as_json, lambda: "\n".join(lines))


def _who(one: dict[str, Any]) -> str:
    """Who confirms a change that waits, and how; or that it takes effect by waiting."""
    names = [name for name in one["confirmers"] if name != one["account"]][:_NAMED]
    if one["account"] in one["confirmers"]:
        names.insert(0, one["account"])
    wait = f"it takes effect at {one['due']}, 72 hours after it was asked for: no second administrator exists"
    ask = f"{' or '.join(names)} confirms it: lockgate user confirm {one['id']}" if names else ""
    return "; without that ".join(part for part in (ask, wait if one["due"] else "") if part)


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
        raise IncompleteError(
            "the change waits for a second person" if waits["confirmers"] else "the change waits",
            thing=f"{waits['id']}: {waits['text']}",
            remedy=_who(waits),
        )


def lines_of(changes: list[dict[str, Any]]) -> list[str]:
    """What a release is shown of changes of accounts, a line each."""
    return [
        safe(f"[!!] account: {one['text']}, by {one['asked_by']} at {one['asked']}: {_state(one)}") for one in changes
    ]
