"""`lockgate migrate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.shared.context import folder_option, json_option, show, station_root
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _places(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(one) for one in ("file", "postgresql://") if one.startswith(incomplete)]


@click.command()
@click.option(
    "--metadata", "place", metavar="URL|file", shell_complete=_places,
    help="Where the metadata is to be: an empty PostgreSQL database, or the station's folder.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say how many rows and bytes, and about how long; change nothing.")
@click.option("--abandon", is_flag=True, help="End a move that was cut off, and take away what it has copied.")
@folder_option
@json_option
def migrate(root: Path | None, place: str | None, dry_run: bool, abandon: bool, as_json: bool) -> None:
    """Move the station's metadata from its folder into PostgreSQL, or back.

    The station may run: it is copied meanwhile, and pulls go on. Then writes stop for a while, which is measured and
    printed; both databases are compared whole, and the station goes on with the new one. The old one is kept, and is
    opened as a station's no more. Cut off, the same command goes on. Ctrl-C ends it with nothing switched.
    """
    from appliance.lifecycle import moving
    from appliance.origin import require_open
    from appliance.paths import StationPaths
    from appliance.settings.metadata import shown
    from appliance.settings.station import load_config
    from bundles.errors import UsageError

    paths = StationPaths(station_root(root))
    config = load_config(paths.config)
    require_open(paths, config)
    if abandon == bool(place) or (abandon and dry_run):
        raise UsageError(
            "it is not said what is to be done",
            thing="--metadata, or --abandon alone",
            remedy="give --metadata URL, --metadata file, or --abandon",
        )
    document: dict[str, Any] = {"site": config.site, "dry_run": dry_run}
    if place is None:
        document["abandoned"] = shown(moving.abandon(paths))
        show(document, as_json, lambda: f"{config.site}: the move to {safe(document['abandoned'])} has ended")
        return
    move = moving.Moving(paths, place, _progress())
    try:
        document["place"] = shown(place)
        if dry_run:
            document |= asdict(move.plan())
            show(document, as_json, lambda: _planned(document))
        else:
            document |= asdict(move.move()) | {"place": shown(place)}
            show(document, as_json, lambda: _moved(document))
    finally:
        move.close()


def _progress() -> Any:
    """Says each phase once, and every tenth of it."""
    said: list[tuple[str, int]] = []

    def progress(phase: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 10
        if (phase, tenth) not in said[-1:]:
            said.append((phase, tenth))
            click.echo(f"  {phase}: {done} of {some(total, 'row')}", err=True)

    return progress


def _planned(document: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"{document['site']}: {some(document['rows'], 'row')}, {document['size']} bytes, to"
            f" {safe(document['place'])}",
            f"about {document['seconds']} s; of these nothing is written for about {document['stopped']} s",
        ]
    )


def _moved(document: dict[str, Any]) -> str:
    if not document["tables"]:
        return f"{document['site']}: the metadata is in {safe(document['place'])}; a move that was cut off has ended"
    lines = [
        f"{document['site']}: the metadata is in {safe(document['place'])}",
        f"{some(document['rows'], 'row')} in {some(document['tables'], 'table')}, the same on both sides:"
        f" {document['digest']}",
    ]
    if document["stopped"] is not None:
        lines.append(f"nothing was written for {document['stopped']:.1f} s; pulls went on")
    return "\n".join(lines)
