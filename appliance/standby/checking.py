"""Whether a state may be held: its log, its database, and the one against the other. Nothing of it is believed but what
the pair's own audit key signed."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from appliance.audit.seals import audit_key, seals_of
from appliance.paths import StationPaths
from appliance.release_check.parts import check_parts
from appliance.settings.station import load_config
from appliance.standby.documents import State
from appliance.station import open_station
from appliance.store.database import open_reader
from appliance.store.database_file import structure_of
from appliance.store.errors import EngineError
from appliance.store.writes.lifecycle import Settle
from appliance.store.writes.write import Write
from bundles.documents.audit_log import verify
from bundles.errors import FailedError, LockgateError, RefusedError


class _NoWriter:
    """A writer for who looks alone."""

    def submit(self, write: Write) -> Any:
        """Nothing waits to be written, so that there is nothing to settle. Raises FailedError for what would change
        it."""
        if isinstance(write, Settle):
            return None
        raise FailedError("a state that is checked is not changed", thing=type(write).__name__)


def check_state(paths: StationPaths, state: State, since: str) -> None:
    """Go on only where everything holds in the state whose folder is `paths`, and its log holds the head `since` (""
    for any). Raises RefusedError naming the first thing that does not, FailedError where it cannot be read."""
    config = load_config(paths.config)
    if (config.site, config.side) != (state.site, "inside"):
        raise _refused("is another station's", f"{config.site} ({config.side})", "standby-site")
    key = audit_key(paths).public
    found = verify(paths.audit, key, state.site, since, origin=paths.origin, seals=seals_of(paths))
    for finding in found.findings:
        raise _refused("has an audit log that does not hold", finding.text(), "standby-log")
    if found.head != state.head:
        raise _refused("has another audit log than it says", f"{found.head} for {state.head}", "standby-log")
    try:
        _check_rows(paths)
    except EngineError as error:
        raise _refused("has a database that cannot be read", str(error), "standby-rows") from None


def _check_rows(paths: StationPaths) -> None:
    with closing(open_reader(paths.database)) as reader:
        structure = structure_of(reader)
    if structure != "ok":
        raise _refused("has a damaged database", structure, "standby-rows")
    try:
        station = open_station(paths.root, _NoWriter())
    except LockgateError as error:
        raise _refused("cannot be opened", error.diagnostics(), "standby-rows") from None
    try:
        parts = check_parts(station, set())
    finally:
        station.metadata.close()
        station.reader.close()
    for finding in (one for part in parts for one in part):
        said = " ".join(str(value) for value in finding.values() if value)
        raise _refused("has rows that its audit log does not explain", said[:300], "standby-rows")


def _refused(what: str, thing: str, code: str) -> RefusedError:
    return RefusedError(
        f"a state of the primary {what}", thing=thing,
        remedy="see at the primary: lockgate intake check, lockgate audit verify", code=code,
    )  # fmt: skip
