"""Rows about what happened that are not what the audit log says: of the ledger, restores and floors
(appliance.release_check.changed_ledger), of steps and decisions (appliance.release_check.changed_steps), receipts,
hand-overs, opened sealed keys, the first officer's call and accounts (appliance.release_check.changed_accounts).

Imports, receipts and custody records go by these rows. Triggers keep the program from changing them, and nobody who has
the database's file: a stream is opened after a restore without two people, an old number taken again, the clock's floor
set back, a receipt's number given out twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from appliance import clock
from appliance.release_check.changed_accounts import changed_accounts
from appliance.release_check.changed_ledger import Finding, changed_ledger, is_known
from appliance.release_check.changed_steps import changed_steps
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.log_record import read_log
from appliance.station import Station
from appliance.store.reads.custody import handover_rows
from appliance.store.reads.decisions import used_key_rows
from appliance.store.reads.receipts import receipt_rows
from appliance.store.writes import pending_changes
from bundles.io.display import safe
from bundles.oci.digest import Digest

DEED: Final = "record"
"""The kind of such a finding."""
_LISTED: Final = 1_000
_SETTLES: Final = 1.0
"""Seconds after which a finding is looked at again: an act is recorded before its transaction."""
_LATE: Final = 3_600
"""Seconds by which a floor of the clock may be older than the newest import: an import's transaction comes later than
its event, or a little earlier."""


def changed_deeds(station: Station) -> list[dict[str, str]]:
    """Each such row, a thousand at most: {repository, digest, kind, bundle, found, thing}; `repository` and `digest`
    are empty, `thing` says in words what the row is about. Of what the log no longer holds, and no cut kept, nothing is
    said. Raises FailedError where the log cannot be read."""
    found = _look(station)
    if found:
        time.sleep(_SETTLES)
        again = _look(station)
        found = [one for one in found if one in again]
    return [
        {"repository": "", "digest": "", "kind": DEED, "bundle": bundle, "found": how, "thing": thing}
        for thing, how, bundle in found[:_LISTED]
    ]


def _look(station: Station) -> list[Finding]:
    log = read_log(station.paths, station.config.site)
    if log.lost or log.damaged:
        return []  # `unexplained` says so
    return [
        *changed_ledger(station, log), *changed_steps(station, log), *_receipts(station, log),
        *_handovers(station, log), *_spent(station, log), *_officer(station, log), *changed_accounts(station, log),
    ]  # fmt: skip


def _receipts(station: Station, log: LogRecord) -> Iterator[Finding]:
    rows = receipt_rows(station.reader)
    here = {number: digest for number, digest, _, _ in rows}
    for number, digest, document, created in rows:
        said = log.deeds.receipts.get(number)
        if str(Digest.of(document.encode())) != digest or (said is not None and said[0] != digest):
            yield f"receipt {number}", "changed", ""
        elif said is None and not log.deeds.restored and is_known(log, created):
            yield f"receipt {number}", "unexplained", ""
    long_ago = clock.after(-_LATE)
    for number, (_, at) in sorted(log.deeds.receipts.items()):
        # One that a job recorded last and did not come to: it states it again, or the next one takes its number. What
        # a copy that was put back forgot is no finding.
        if number not in here and at > log.deeds.restored and (number < max(here, default=0) or at < long_ago):
            yield f"receipt {number}", "missing", ""


def _handovers(station: Station, log: LogRecord) -> Iterator[Finding]:
    here = set()
    for *said, at in handover_rows(station.reader):
        here.add(tuple(said))
        if tuple(said) not in log.deeds.handovers and is_known(log, at):
            yield f"a hand-over of {said[0]} from {said[1]} to {said[2]}", "unexplained", said[0]
    for missing in sorted(log.deeds.handovers - here) if not log.deeds.restored else ():
        yield f"a hand-over of {missing[0]} from {missing[1]} to {missing[2]}", "missing", missing[0]


def _spent(station: Station, log: LogRecord) -> Iterator[Finding]:
    here = set()
    for keyid, bundle, at in used_key_rows(station.reader):
        here.add(keyid)
        if keyid not in log.deeds.spent and is_known(log, at):  # its envelope would open no more
            yield f"the use of the sealed key {keyid} for {bundle}", "unexplained", bundle
    for keyid, bundle in sorted(log.deeds.spent.items()):
        if keyid not in here:
            yield f"the use of the sealed key {keyid} for {bundle}", "missing", bundle


def _officer(station: Station, log: LogRecord) -> Iterator[Finding]:
    """Once a first officer has called, no administrator acts alone."""
    if log.deeds.duties.officer and not pending_changes.in_force(station.reader):
        yield f"the first call of a security-officer, {log.deeds.duties.officer},", "missing", ""


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each row."""
    return [
        f"record: {safe(one['thing'])} is {one['found']} in the database, by the audit log: it was changed by hand;"
        " see: lockgate intake check"
        for one in found
    ]
