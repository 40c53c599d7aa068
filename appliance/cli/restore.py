"""`lockgate restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.context import json_option, show, station_option, station_root
from bundles.display import safe


@click.command()
@click.option("--why", required=True, metavar="TEXT", help="What happened, and which copy was put back.")
@station_option
@json_option
def restore(root: Path | None, why: str, as_json: bool) -> None:
    """Say that this inside station's folder was put back from a copy, before it is started again.

    Its ledger may have forgotten bundles that came in since the copy was made, and would take them twice. So imports
    are shut until two people have entered where each stream stood, from its last receipt or a printed head. What is
    served stays as it is in the copy.
    """
    from appliance.cli.recorded import actor, recorded
    from appliance.config import load_config
    from appliance.lifecycle.put_back import ACT, shut_imports
    from appliance.paths import StationPaths
    from appliance.station import station_lock
    from bundles.errors import UsageError

    paths = StationPaths(station_root(root))
    config = load_config(paths.config)
    if config.side != "inside":
        raise UsageError(
            "an outside station takes no bundles in",
            thing=config.site,
            remedy="void the numbers that were used since the copy with: lockgate bundle void",
        )
    if not why.strip():
        raise UsageError("a restore needs a reason", thing=config.site, remedy="say it with --why")
    with station_lock(paths), recorded(paths.root, ACT, config.site, {"why": why}):
        streams = shut_imports(paths, actor())
    document = {"site": config.site, "why": why, "people": 1 if config.open else 2, "streams": streams}
    show(document, as_json, lambda: _text(document))


def _text(document: dict[str, Any]) -> str:
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
