"""`lockgate bundle custody`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from appliance.cli.shared.context import call, json_option, show, station_option


@click.command()
@click.argument("name", metavar="ID")
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write the form as HTML, too.")
@click.option("--from", "giver", metavar="WHO", default="", help="Record a hand-over: who gives the medium.")
@click.option("--to", "taker", metavar="WHO", default="", help="Who takes it.")
@click.option("--medium", metavar="LABEL", default="", help="The medium's label.")
@click.option("--serial", default="", help="The medium's serial number.")
@click.option("--seal", metavar="NUMBER", default="", help="The number of the seal.")
@click.option("--note", metavar="TEXT", default="", help="What else was seen.")
@station_option
@json_option
def custody(
    root: Path | None, name: str, page: Path | None, giver: str, taker: str, medium: str, serial: str, seal: str,
    note: str, as_json: bool,
) -> None:  # fmt: skip
    """Print a bundle's custody record as a form, with the audit log's head; --from and --to record a hand-over."""
    from bundles.documents.custody_form import as_text, write_form

    path = f"/v1/bundles/{quote(name, safe='')}/custody"
    fields = {"giver": giver, "taker": taker, "medium": medium, "serial": serial, "seal": seal, "note": note}
    if any(fields.values()):
        document = call(root, lambda client: client.post(path, fields))
    else:
        document = call(root, lambda client: client.get(path))
    if page is not None:
        write_form(page, document)
    show(document, as_json, lambda: as_text(document))
