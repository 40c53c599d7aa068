"""Rows about restores, floors, receipts, hand-overs and opened sealed keys that are not what the audit log says.

Imports, receipts and custody records go by these rows. Triggers keep the program from changing them, and nobody who has
the database's file: a stream is opened after a restore without two people, an old number taken again, the clock's floor
set back, a receipt's number given out twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from appliance import clock
from appliance.release_check.deed_record import DeedRecord
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.log_record import read_log
from appliance.station import Station
from appliance.store.reads.custody import handover_rows
from appliance.store.reads.decisions import used_key_rows
from appliance.store.reads.receipts import receipt_rows
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

Finding = tuple[str, str, str]
"""The thing, `missing`, `changed` or `unexplained`, and the bundle's id ("" for none)."""


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
    deeds = log.deeds
    return [
        *_ledger(station, log), *_restores(station, deeds), *_floors(station, log), *_clocks(station, deeds),
        *_receipts(station, log), *_handovers(station, log), *_spent(station, log),
    ]  # fmt: skip


def _is_known(log: LogRecord, at: str) -> bool:
    """Whether the event of a row that was made at a time is in what is left of the log, or in what a cut kept."""
    return log.deeds.whole or at >= log.since


def _ledger(station: Station, log: LogRecord) -> Iterator[Finding]:
    """Every bundle that came in stands in the ledger, under its number: the next must be greater."""
    for digest, (name, _) in sorted(log.imported.items()):
        row = station.reader.execute(
            "SELECT EXISTS (SELECT 1 FROM ledger WHERE digest = ?1 AND stream || '-' || printf('%06d', sequence) = ?2),"
            " EXISTS (SELECT 1 FROM intake WHERE digest = ?1)",
            (digest, name),
        ).fetchone()
        if row == (0, 1):  # where the bundle's entry is gone too, `unexplained` names it
            yield f"the ledger's entry of {name}", "missing", name


def _restores(station: Station, deeds: DeedRecord) -> Iterator[Finding]:
    newest = station.reader.execute("SELECT coalesce(max(created), '') FROM restores").fetchone()[0]
    if station.config.side == "inside" and newest < deeds.restored:
        yield f"the restore of {deeds.restored}", "missing", ""


def _floors(station: Station, log: LogRecord) -> Iterator[Finding]:
    rows = station.reader.execute("SELECT stream, sequence, digest, created FROM ledger WHERE state = 'reset'")
    for stream, sequence, digest, created in rows:
        if (stream, sequence, digest) not in log.deeds.floors and _is_known(log, created):
            yield f"the floor {sequence} of {stream}", "unexplained", ""


def _clocks(station: Station, deeds: DeedRecord) -> Iterator[Finding]:
    """A floor of the clock only rises, but where people set it."""
    highest: dict[str, str] = {}
    for stream, floor in station.reader.execute("SELECT stream, floor FROM clock_floors ORDER BY entry"):
        if floor < highest.get(stream, "") and (stream, floor) not in deeds.clocks and deeds.whole:
            yield f"the clock's floor {floor}{f' of {stream}' if stream else ''}", "unexplained", ""
        highest[stream] = floor
    own = highest.get("", "")
    if deeds.arrived > deeds.restored and ("", own) not in deeds.clocks:
        least = clock.seconds(deeds.arrived) - _LATE
        if not own or clock.seconds(own) < least:
            yield f"the clock's floor since the import of {deeds.arrived}", "missing", ""


def _receipts(station: Station, log: LogRecord) -> Iterator[Finding]:
    rows = receipt_rows(station.reader)
    here = {number: digest for number, digest, _, _ in rows}
    for number, digest, document, created in rows:
        said = log.deeds.receipts.get(number)
        if str(Digest.of(document.encode())) != digest or (said is not None and said[0] != digest):
            yield f"receipt {number}", "changed", ""
        elif said is None and not log.deeds.restored and _is_known(log, created):
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
        if tuple(said) not in log.deeds.handovers and _is_known(log, at):
            yield f"a hand-over of {said[0]} from {said[1]} to {said[2]}", "unexplained", said[0]
    for missing in sorted(log.deeds.handovers - here) if not log.deeds.restored else ():
        yield f"a hand-over of {missing[0]} from {missing[1]} to {missing[2]}", "missing", missing[0]


def _spent(station: Station, log: LogRecord) -> Iterator[Finding]:
    here = set()
    for keyid, bundle, at in used_key_rows(station.reader):
        here.add(keyid)
        if keyid not in log.deeds.spent and _is_known(log, at):  # its envelope would open no more
            yield f"the use of the sealed key {keyid} for {bundle}", "unexplained", bundle
    for keyid, bundle in sorted(log.deeds.spent.items()):
        if keyid not in here:
            yield f"the use of the sealed key {keyid} for {bundle}", "missing", bundle


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each row."""
    return [
        f"record: {safe(one['thing'])} is {one['found']} in the database, by the audit log: it was changed by hand;"
        " see: lockgate intake check"
        for one in found
    ]
