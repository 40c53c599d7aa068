"""Bundles whose row in the database does not say what the audit log says: their state, and their inspection report.

A row decides nothing that is shown, but people go by it: a bundle that says "withdrawn" and is shown is withdrawn by
nobody, and a report that somebody else wrote hides what was found. Every release, rejection and withdrawal is in the
log, and so is every report's digest.
"""

from __future__ import annotations

import time
from typing import Final

from appliance.release_check.log_facts import LogRecord
from appliance.release_check.log_record import read_log
from appliance.station import Station
from appliance.store.reads.intake import find_entry, report_text
from bundles.errors import FailedError, NotFoundError
from bundles.io.display import safe
from bundles.oci.digest import Digest

STATE: Final = "state"
"""The kind of a finding about a bundle that says another state than the log."""
REPORT: Final = "report"
"""The kind of a finding about a bundle whose report is not the one that was recorded."""

_LISTED: Final = 1_000
_SETTLES: Final = 1.0
"""Seconds after which a finding is looked at again: an act is recorded before its transaction."""

_OPEN: Final = frozenset({"receiving", "quarantined", "approved"})


def changed_entries(station: Station) -> list[dict[str, str]]:
    """Each such bundle, a thousand at most: {repository, digest, kind, bundle, found, expected}.

    `digest` is the bundle's, `repository` is empty. Of kind `state`, `found` is the state in the database and
    `expected` the one that follows from the log (`quarantined` stands for every one before a decision); of kind
    `report`, they are the digests of the report that is there ("" for none that can be read) and of the recorded one.
    Where the log, or what a cut kept of it, does not reach, nothing is said. Raises FailedError where the log cannot be
    read.
    """
    found = _look(station)
    if found:
        time.sleep(_SETTLES)
        again = _look(station)
        found = [one for one in found if one in again]
    return found[:_LISTED]


def _look(station: Station) -> list[dict[str, str]]:
    log = read_log(station.paths, station.config.site)
    if log.lost or log.damaged:
        return []  # `unexplained` says so
    found: list[dict[str, str]] = []
    for digest, (name, _) in sorted(log.imported.items()):
        try:
            state = find_entry(station.reader, digest).state
        except NotFoundError:  # `unexplained` names it
            continue
        expected = _expected(log, digest, state)
        if expected != state:
            found.append(_finding(digest, STATE, name, state, expected))
        recorded = log.reports.get(digest, "")
        if recorded and (report := _report(station, digest)) != recorded:
            found.append(_finding(digest, REPORT, name, report, recorded))
    return found


def _expected(log: LogRecord, digest: str, state: str) -> str:
    """The state that follows from the log; the one that is there, where that is one of several."""
    if digest in log.released:
        return "released"
    if digest in log.rejected:
        return "rejected"
    if state in _OPEN or (state == "withdrawn" and digest in log.undone):
        return state
    return "withdrawn" if digest in log.undone else "quarantined"


def _report(station: Station, digest: str) -> str:
    try:
        text = report_text(station.reader, digest)
    except FailedError:
        return ""
    return "" if text is None else str(Digest.of(text.encode()))


def _finding(digest: str, kind: str, bundle: str, found: str, expected: str) -> dict[str, str]:
    return {"repository": "", "digest": digest, "kind": kind, "bundle": bundle, "found": found, "expected": expected}


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each bundle."""
    return [_alarm(one) for one in found]


def _alarm(one: dict[str, str]) -> str:
    if one["kind"] == STATE:
        said = f"is {safe(one['found'])} in the database, and by the audit log {one['expected']}"
    else:
        said = "has another inspection report than the one that was recorded"
    return f"intake: {safe(one['bundle'])} {said}: the database was changed by hand; see: lockgate intake check"
