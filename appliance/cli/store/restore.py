"""`lockgate restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.shared.context import folder_option, json_option, show, station_root
from bundles.io.display import safe


@click.command()
@click.option("--why", required=True, metavar="TEXT", help="What happened, and which copy was put back.")
@click.option(
    "--head", "heads", multiple=True, metavar="ID=DIGEST",
    help="Outside: the last bundle of a stream and its digest; repeatable, one a stream.",
)  # fmt: skip
@click.option(
    "--receipt", type=click.Path(path_type=Path), metavar="FILE",
    help="Inside: the last receipt that was given out, so that no number of one is given twice.",
)  # fmt: skip
@folder_option
@json_option
def restore(root: Path | None, why: str, heads: tuple[str, ...], receipt: Path | None, as_json: bool) -> None:
    """Say that this station's folder was put back from a copy, before it is started again.

    An inside's ledger may have forgotten bundles that came in since the copy was made, and would take them twice. So
    imports are shut until two people have entered where each stream stood, from its last receipt or a printed head.
    What is served stays as it is in the copy. An outside would give a number out twice: it is told with --head.
    """
    from appliance import clock
    from appliance.audit.folder_acts import actor, recorded
    from appliance.audit.noted_head import forget_head
    from appliance.cli.intake.receipt import own_receipt
    from appliance.lifecycle.forgotten import accept, look
    from appliance.lifecycle.restored_copy import ACT, enter_heads, enter_receipt, parse_head, shut_imports
    from appliance.origin import require_open
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config
    from appliance.station import station_lock
    from appliance.store.whereabouts import is_made
    from bundles.errors import FailedError, UsageError
    from bundles.io.files import failures_named

    paths = StationPaths(station_root(root))
    config = load_config(paths.config)
    require_open(paths, config)
    inside = config.side == "inside"
    if not why.strip():
        raise UsageError("a restore needs a reason", thing=config.site, remedy="say it with --why")
    if inside and heads:
        raise UsageError(
            "two people say where an inside's streams stood", thing=heads[0], remedy="leave --head; see the last line"
        )
    if receipt is not None and not inside:
        raise UsageError("an outside gives no receipts", thing=str(receipt), remedy="give --head ID=DIGEST")
    entered = [parse_head(text, config.site) for text in heads]
    given = None if receipt is None else own_receipt(paths.root, receipt, config.site)
    at = clock.now()
    detail = {"why": why, "heads": list(heads), "receipt": None if given is None else given[0].number, "at": at}
    with station_lock(paths):
        found = look(paths)
        if found is not None and not found.usable:
            what = "the copy's database is damaged" if is_made(paths.database) else "the copy has no database"
            raise FailedError(what, thing=found.what, remedy="put back an older copy")
        with recorded(paths.root, ACT, config.site, detail):
            streams = shut_imports(paths, actor(), at) if inside else enter_heads(paths, entered)
            if given is not None:
                enter_receipt(paths, given[0].number, given[1])
            accept(paths)
            with failures_named(paths.audit_head, "the note of the log's head cannot be removed"):
                forget_head(paths)
    people = 0 if not inside else 1 if config.open else 2
    document = {"site": config.site, "side": config.side, "why": why, "people": people, "streams": streams}
    show(document, as_json, lambda: _text(document))


def _text(document: dict[str, Any]) -> str:
    if document["side"] == "outside":
        went = [
            f"  {one['stream']} continues after number {one['sequence']} ({one['digest']})"
            for one in document["streams"]
        ]
        return "\n".join(safe(line) for line in [f"{document['site']}: restored", *went])
    lines = [f"{document['site']}: imports are shut"]
    for stream in document["streams"]:
        at = f" ({stream['digest']})" if stream["digest"] else ""
        lines.append(f"  {stream['stream']} stood at {stream['sequence']}{at} in this copy")
    who = "one person enters" if document["people"] == 1 else "two people each enter"
    lines.append(
        f"start the station; then {who} where each stream stood: lockgate intake stream reset STREAM"
        " --receipt FILE --key KEY --why TEXT"
    )
    return "\n".join(safe(line) for line in lines)
