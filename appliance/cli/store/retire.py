"""`lockgate repo retire` and `retired`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from appliance.cli.shared.context import call, json_option, show, station_option
from appliance.cli.shared.pages import limit_option, show_list
from bundles.errors import MalformedError, UsageError
from bundles.io.display import safe
from bundles.io.times import check_time

_DATE: Final = len("2027-01-31")


@click.command()
@click.argument("reference", metavar="REF")
@click.option("--successor", default="", metavar="REF", help="What is to be used in its place.")
@click.option("--after", default="", metavar="DATE", help="From when on it is not promoted: 2027-01-31, in UTC.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is shown with it.")
@click.option("--undo", is_flag=True, help="Take the retirement back.")
@station_option
@json_option
def retire(
    root: Path | None, reference: str, successor: str, after: str, reason: str, undo: bool, as_json: bool
) -> None:
    """Retire a repository or an artifact (REPO, REPO:TAG or REPO@DIGEST): another one takes its place.

    It is shown with its successor at once. From the date on nobody promotes it, or what names it, under whatever name,
    and nothing rolls back to it; `gc --retired` then takes its tags. Pulls go on. Takes the right to delete there.
    """
    if undo:
        if successor or after or reason:
            raise UsageError("--undo takes the reference alone", thing=reference, remedy="leave the other options")
        document = call(root, lambda client: client.post("/v1/retirements/undo", {"reference": reference}))
        show(document, as_json, lambda: f"not retired any more: {safe(document['reference'])}")
        return
    if not successor or not after:
        raise UsageError(
            "a retirement names a successor and a date", thing=reference,
            remedy="give --successor REF --after DATE, or --undo",
        )  # fmt: skip
    try:
        at = check_time(f"{after}T00:00:00Z" if len(after) == _DATE else after, "--after")
    except MalformedError:
        raise UsageError("--after takes a day or a time in UTC", thing=after, remedy="write 2027-01-31") from None
    body = {"reference": reference, "successor": successor, "reason": reason, "after": at}
    document = call(root, lambda client: client.post("/v1/retirements", body))
    show(document, as_json, lambda: f"{safe(document['reference'])} {words(document)}")


@click.command()
@click.option("--after", default="", help="Go on behind this reference.")
@limit_option()
@station_option
@json_option
def retired(root: Path | None, after: str, limit: int | None, as_json: bool) -> None:
    """What is retired, from when on, what takes its place, and who said so."""

    def row(entry: dict[str, Any]) -> tuple[object, ...]:
        since = entry["after"] + ("" if entry["over"] else " (to come)")
        return entry["reference"], since, entry["successor"], entry["actor"], entry["reason"] or "-"

    head = ("REFERENCE", "AFTER", "SUCCESSOR", "WHO", "WHY")
    show_list(root, "/v1/retirements", row, head, limit=limit, as_json=as_json, after=after)


def words(retirement: dict[str, Any]) -> str:
    """A retirement in one line."""
    said = "retired since" if retirement["over"] else "retired from"
    why = f" ({retirement['reason']})" if retirement["reason"] else ""
    return safe(f"{said} {retirement['after']}, successor {retirement['successor']}{why}")
