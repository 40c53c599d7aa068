"""`lockgate site`: the known destinations of bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.completion import SITE
from appliance.cli.shared.context import call, json_option, show, station_option, station_root, table
from bundles.io.display import safe


@click.group()
def site() -> None:
    """Known destinations, so that a mistyped site takes no number: add, list, remove."""


@site.command()
@click.argument("name", metavar="SITE")
@click.option(
    "--receipt-key", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Pin the public key that the site's receipts are signed with.",
)  # fmt: skip
@click.option("--owner", metavar="WHO", help='Whose receipt key it is (default: "Station SITE").')
@station_option
@json_option
def add(root: Path | None, name: str, receipt_key: Path | None, owner: str | None, as_json: bool) -> None:
    """List a destination: builds for it ask for nothing more. Listing a known one again changes nothing.

    With --receipt-key its receipts count here. Compare the key's fingerprint over another channel first.
    """
    from bundles.errors import UsageError
    from bundles.oci.reference import check_site
    from bundles.signing.keys import load_public

    check_site(name)
    if owner is not None and receipt_key is None:
        raise UsageError("no key was named", thing=owner, remedy="give --receipt-key FILE, or leave --owner")
    public = None if receipt_key is None else load_public(receipt_key)
    document = call(root, lambda client: client.post("/v1/sites", {"site": name}))
    if public is not None:
        _pin(station_root(root), public, name, owner or f"Station {name}")
        document |= {"keyid": public.keyid, "fingerprint": public.fingerprint}
    show(document, as_json, lambda: _added(document))


def _pin(station: Path, public: Any, name: str, owner: str) -> None:
    """Pin a site's receipt key, as `key trust` does."""
    from appliance.trust_acts import pin

    pin(station, public, purpose="receipt", owner=owner, sites=[name])


def _added(document: dict[str, Any]) -> str:
    lines = [f"{document['site']}: {'on the list' if document['new'] else 'known already'}"]
    if "keyid" in document:
        lines += [f"pinned {document['keyid']} for its receipts", f"fingerprint {document['fingerprint']}"]
    return "\n".join(lines)


@site.command("list")
@station_option
@json_option
def list_(root: Path | None, as_json: bool) -> None:
    """The destinations that builds may name: those listed, and those that bundles were signed for."""
    document = call(root, lambda client: client.get("/v1/sites"))
    rows = [
        (one["site"], one["bundles"], one["last"] or "-", f"{one['at']} by {one['actor']}" if one["listed"] else "-")
        for one in document["items"]
    ]
    show(document, as_json, lambda: table(rows, ("SITE", "BUNDLES", "LAST", "LISTED")))


@site.command()
@click.argument("name", metavar="SITE", type=SITE)
@station_option
@json_option
def remove(root: Path | None, name: str, as_json: bool) -> None:
    """Take a destination off the list: the next build for it asks again. Its bundles and its stream stay."""
    document = call(root, lambda client: client.request("DELETE", f"/v1/sites/{quote(name, safe='')}"))
    show(document, as_json, lambda: f"{safe(document['site'])}: no longer on the list")
