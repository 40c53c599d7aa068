"""`lockgate block`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from appliance.cli.shared.context import call, json_option, shaped, show, station_option, table
from appliance.cli.shared.pages import whole_list
from bundles.errors import MalformedError, UsageError
from bundles.io.display import safe
from bundles.oci.digest import Digest


@click.group()
def block() -> None:
    """Blocks: content that is shown to nobody, wherever it is: add, remove, list."""


@block.command()
@click.argument("thing", metavar="DIGEST|REF")
@click.option("--why", required=True, metavar="TEXT", help="The reason; clients and the audit log are told.")
@station_option
@json_option
def add(root: Path | None, thing: str, why: str, as_json: bool) -> None:
    """Block a blob or manifest by its digest, in every repository, from the next request on.

    Which bundles held it, the tags it became, and who pulled it is listed here.
    """
    from appliance.api.content import Blocked
    from appliance.cli.station.audit import recalled

    document = call(root, lambda client: client.post("/v1/blocks", {"thing": thing, "why": why}))
    blocked = shaped(document, Blocked)
    said = "no bundle has anything to do with it" if blocked.recall is None else recalled(blocked.recall)
    show(document, as_json, lambda: f"blocked {safe(blocked.digest)}\n{said}")


@block.command()
@click.argument("digest", metavar="DIGEST")
@station_option
@json_option
def remove(root: Path | None, digest: str, as_json: bool) -> None:
    """Show blocked content again."""
    try:
        Digest.parse(digest)
    except MalformedError:
        raise UsageError("not a digest", thing=digest, remedy="give one that is blocked: lockgate block list") from None
    document = call(root, lambda client: client.request("DELETE", f"/v1/blocks/{quote(digest)}"))
    show(document, as_json, lambda: f"unblocked {safe(document['digest'])}")


@block.command("list")
@station_option
@json_option
def list_blocks(root: Path | None, as_json: bool) -> None:
    """What is blocked, by whom and why."""
    document = whole_list(root, "/v1/blocks")
    rows = [(entry["digest"], entry["created"], entry["actor"], entry["why"]) for entry in document["items"]]
    show(document, as_json, lambda: table(rows, ("DIGEST", "WHEN", "WHO", "WHY")))
