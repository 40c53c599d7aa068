"""`lockgate repo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from appliance.cli.context import call, json_option, megabytes, show, station_option, table
from appliance.cli.pages import limit_option, whole_list
from bundles.display import safe


@click.group()
def repo() -> None:
    """Repositories: list, tags, show."""


def paging(command: Any) -> Any:
    """`--limit`, `--after` and `--filter`."""
    command = click.option("--filter", "text", default="", help="Names that contain this.")(command)
    command = click.option("--after", default="", help="Go on behind this name.")(command)
    return limit_option()(command)


@repo.command("list")
@paging
@station_option
@json_option
def list_(root: Path | None, limit: int | None, after: str, text: str, as_json: bool) -> None:
    """The repositories."""
    document = whole_list(root, "/v1/repositories", limit, after=after, filter=text)
    rows = [
        (entry["name"], entry["tags"], entry["manifests"], megabytes(entry["bytes"])) for entry in document["items"]
    ]
    show(document, as_json, lambda: table(rows, ("REPOSITORY", "TAGS", "MANIFESTS", "SIZE")))


@repo.command()
@click.argument("name", metavar="REPO")
@paging
@station_option
@json_option
def tags(root: Path | None, name: str, limit: int | None, after: str, text: str, as_json: bool) -> None:
    """A repository's tags."""
    document = whole_list(root, f"/v1/repositories/{quote(name)}/tags", limit, after=after, filter=text)
    rows = [(entry["tag"], entry["kind"], entry["digest"], entry["updated"]) for entry in document["items"]]
    show(document, as_json, lambda: table(rows, ("TAG", "KIND", "DIGEST", "UPDATED")))


@repo.command("show")
@click.argument("reference", metavar="REF")
@station_option
@json_option
def show_(root: Path | None, reference: str, as_json: bool) -> None:
    """An artifact: platforms, layers, and what refers to it."""
    document = call(root, lambda client: client.get("/v1/artifact", ref=reference))
    show(document, as_json, lambda: _text(document))


def _text(document: dict[str, Any]) -> str:
    lines = [
        f"{document['reference']}  ({document['kind']})",
        f"  digest      {document['digest']}",
        f"  media type  {document['media_type']}",
        f"  size        {megabytes(document['total_size'])}",
    ]
    lines += [f"  [!!] {document['note']}"] if document["note"] else []
    lines += [f"  platform    {entry['platform']}  {entry['digest']}" for entry in document["platforms"]]
    lines += [f"  layer       {entry['digest']}  {megabytes(entry['size'])}" for entry in document["layers"]]
    lines += [f"  referrer    {entry['digest']}  {entry['kind']}" for entry in document["referrers"]]
    return "\n".join(safe(line) for line in lines)
