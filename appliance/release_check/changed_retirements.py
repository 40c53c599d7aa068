"""Retirements that do not stand in the database as the audit log says: a row that went lets a retired artifact be
promoted, and one that was made up lets a collection take a tag."""

from __future__ import annotations

import time
from typing import Final

from appliance.release_check.changed_ledger import is_known
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.log_record import read_log
from appliance.station import Station
from appliance.store.reads.retirements import retirements
from bundles.io.display import safe

RETIREMENT: Final = "retirement"
"""The kind of such a finding."""
_LISTED: Final = 1_000
_SETTLES: Final = 1.0
"""Seconds after which a finding is looked at again: an act is recorded before its transaction."""


def changed_retirements(station: Station) -> list[dict[str, str]]:
    """Each of them, a thousand at most: {repository, tag, digest, kind, bundle, found, thing}; `thing` is the
    reference, `found` `missing`, `changed` or `unexplained`. Raises FailedError where the log cannot be read."""
    found = _look(station)
    if found:
        time.sleep(_SETTLES)
        again = _look(station)
        found = [one for one in found if one in again]
    return [
        {"repository": "", "digest": "", "kind": RETIREMENT, "bundle": "", "found": how, "thing": thing}
        for thing, how in found[:_LISTED]
    ]


def _look(station: Station) -> list[tuple[str, str]]:
    log = read_log(station.paths, station.config.site)
    return [] if log.lost or log.damaged else wrong(station, log)


def wrong(station: Station, log: LogRecord) -> list[tuple[str, str]]:
    """Each reference whose retirement is not what the log says, and how."""
    record, restored = log.deeds.retirements, log.deeds.restored
    here = {row.reference: row for row in retirements(station.reader)}
    found = []
    for reference, row in here.items():
        said = record.said.get(reference)
        if reference in record.unsure or record.times.get(reference, restored) < restored:
            continue
        if said is None and (reference in record.said or record.whole or is_known(log, row.at)):
            found.append((reference, "unexplained"))
        elif said is not None and said != row:
            found.append((reference, "changed"))
    found += [
        (reference, "missing")
        for reference, said in record.said.items()
        if said is not None and reference not in here and reference not in record.unsure
        and record.times[reference] > restored
    ]  # fmt: skip
    return sorted(found)


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each."""
    return [
        f"record: the retirement of {safe(one['thing'])} is {one['found']} in the database, by the audit log: it was"
        " changed by hand; see: lockgate intake check"
        for one in found
    ]
