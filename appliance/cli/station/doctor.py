"""`lockgate doctor`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.shared.context import call, json_option, show, station_option, station_root
from bundles.errors import FailedError, IncompleteError, LockgateError
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.doctor.examined import Examined, State

_MARKS: Final[dict[State, str]] = {
    "ok": "[ok]", "attention": "[!!] attention", "wrong": "[!!] WRONG", "not-checked": "[--] not checked",
    "unused": "[--] unused",
}  # fmt: skip


@click.command()
@click.option(
    "--clamd-conf", "clamd_conf", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
    help="clamd's settings, where they are not in /etc/clamav/clamd.conf.",
)  # fmt: skip
@station_option
@json_option
def doctor(root: Path | None, clamd_conf: Path | None, as_json: bool) -> None:
    """Examine what the station relies on, and say what to do.

    Settings, the station's own checks, disk and reserve, clock, certificates, who can read keys and change settings,
    clamd with its signatures and sizes, syft, advisories, mounted media, programs. Nothing is changed. What could not
    be looked at is `not checked`, and never ok. Exit status: 1 where something is wrong, 4 where something was not
    checked, else 0.
    """
    from appliance.doctor.engine import CONFIGURATION
    from appliance.doctor.station import doctor as examine
    from appliance.paths import StationPaths

    paths = StationPaths(station_root(root))
    asked: dict[str, Any] | LockgateError
    try:
        asked = call(root, lambda client: client.status())
    except LockgateError as error:
        asked = error
    except PermissionError as error:  # another account's kept log-in
        asked = FailedError(
            "this account may not ask the station", thing=str(error.filename), remedy="call as the station's account"
        )
    found = examine(paths, asked, clamd_conf or CONFIGURATION)
    counts = Counter(one.state for one in found)
    document = {
        "ok": not counts["wrong"] and not counts["not-checked"],
        "counts": {state: counts[state] for state in _MARKS},
        "checks": found,
    }
    show(document, as_json, lambda: "\n".join(line for one in found for line in _lines(one)))
    if counts["wrong"]:
        first = next(one for one in found if one.state == "wrong")
        raise FailedError(
            f"{some(counts['wrong'], 'check is', 'checks are')} wrong", thing=f"{first.name}: {first.detail}"[:300],
            remedy=first.remedy or "see: lockgate status",
        )  # fmt: skip
    if counts["not-checked"]:
        first = next(one for one in found if one.state == "not-checked")
        raise IncompleteError(
            f"{some(counts['not-checked'], 'check was', 'checks were')} not made", thing=first.name,
            remedy=first.remedy or "see why above, then run it again",
        )  # fmt: skip


def _lines(one: Examined) -> list[str]:
    line = f"{_MARKS[one.state]:<17}{safe(one.name)}: {safe(one.detail)}"
    return [line, *([f"{'':<17}-> {safe(one.remedy)}"] if one.remedy else [])]
