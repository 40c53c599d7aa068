"""`lockgate sbom`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.shared.context import call, json_option, show, station_option, table
from bundles.errors import IncompleteError
from bundles.io.display import safe, some


@click.group()
def sbom() -> None:
    """Packages of what is served, by its SBOMs: find."""


@sbom.command()
@click.argument("name", metavar="NAME[@VERSION]|PURL")
@station_option
@json_option
def find(root: Path | None, name: str, as_json: bool) -> None:
    """Where a package is: each image whose SBOM lists it, answered from an index.

    A source package's name finds what was built from it, and an upstream's version every revision of it. ORIGIN is
    `own` where this station made the SBOM, `carried` where it came from elsewhere. Exit status 4: SBOMs are still to
    be indexed, or the station made none of some images.
    """
    document = call(root, lambda client: client.get("/v1/components", name=name))
    show(document, as_json, lambda: _text(document))
    if document["not_scanned"]:
        raise IncompleteError(
            f"{some(document['not_scanned'], 'image has', 'images have')} no SBOM that this station made",
            thing=safe(name), remedy="make each with: lockgate scan REF",
        )  # fmt: skip
    if document["left_out"]:
        raise IncompleteError(
            f"and {document['left_out']} more", thing=safe(name), remedy="name a version, or a package URL"
        )
    if not document["complete"]:
        raise IncompleteError("not every SBOM is indexed yet", thing=safe(name), remedy="run it again")


def _text(document: dict[str, Any]) -> str:
    rows = [
        (place, one["package"], one["version"], one["path"] or "-", one["origin"])
        for one in document["items"]
        for place in one["references"]
    ]
    if not rows:
        return "no SBOM that is held here lists it"
    return table(rows, ("REFERENCE", "PACKAGE", "VERSION", "PATH", "ORIGIN"))
