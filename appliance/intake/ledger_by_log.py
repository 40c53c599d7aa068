"""Before an import goes by the ledger and by restores, their rows are what the audit log says.

Whoever has the database's file can make a row up, and shut an honest bundle out with it; or take one away, and bring a
bundle in a second time, or into a stream that a restore shut. The log cannot be written along with the file, so that
the rows follow from it: what it does not know goes, what it knows comes back, in one transaction and with an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.jobs.kinds import JobContext
from appliance.release_check import stream_record
from appliance.release_check.changed_ledger import made_up_restores, not_of_log, wrongly_opened
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.log_record import read_log
from appliance.store.reads import record_rows
from appliance.store.reads.record_rows import LedgerEntry
from appliance.store.writes.ledger_repair import LostEntry, RepairLedger, RestoreRow
from bundles.format.manifest import bundle_id

_NAMED: Final = 100
"""Rows that an event names; there may be as many as somebody cared to write."""


def require_rows_of_log(context: JobContext, stream: str, digest: str) -> None:
    """Set right what an import of the bundle with `digest` would go by. To be called by whoever holds the stream's
    turn. Reads of the log what is about imports, restores and floors.

    Where events went that no cut kept, or what a cut kept is missing or was changed, the rows count, and `intake check`
    says so. Raises FailedError where the log cannot be read or written.
    """
    station = context.station
    rows, restores = record_rows.ledger_rows(station.reader), record_rows.restore_rows(station.reader)
    has_rows = record_rows.has_come(station.reader, digest)
    # The log comes after the rows, so that each of these has its event in it.
    log = read_log(station.paths, station.config.site, acts=stream_record.ABOUT)
    if log.lost or log.damaged:
        return
    write = _repair(log, stream, rows, restores, made_up=digest if has_rows and digest not in log.imported else "")
    if write == RepairLedger():
        return
    numbers = {row.entry: f"{row.id or 'a floor'} {row.state} {row.sequence} {row.digest}" for row in rows}
    detail = {
        "struck": [numbers[entry] for entry in write.struck[:_NAMED]], "rows_struck": len(write.struck),
        "put_back": [one.id for one in write.put_back[:_NAMED]], "rows_put_back": len(write.put_back),
        "restores_struck": len(write.struck_restores),
        "restore": None if write.restore is None else write.restore.at, "made_up": write.made_up,
    }  # fmt: skip
    with recording(station.audit, AuditEvent(Act.LEDGER_REPAIR, "station", stream, "done", detail)):
        station.writer.submit(write)
    told = (
        f"{len(write.struck)} struck, {len(write.put_back)} put back"
        if write.struck or write.put_back else "restores and entries"
    )  # fmt: skip
    context.log(
        f"{stream}: the database was changed by hand, and its ledger is what the audit log says again ({told});"
        " see: lockgate audit show"
    )


def _repair(
    log: LogRecord, stream: str, rows: Sequence[LedgerEntry], restores: Sequence[record_rows.RestoreRow], made_up: str
) -> RepairLedger:
    streams = log.deeds.streams
    struck = [row for row in not_of_log(log, rows) if row.stream == stream]
    gone = {row.entry for row in struck}
    left = [row for row in rows if row.entry not in gone]
    wrong = made_up_restores(streams, restores) if streams.whole else []
    made_up_entries = {row.entry for row in wrong}
    honest = [row for row in restores if row.entry not in made_up_entries]
    return RepairLedger(
        struck=tuple(sorted(gone)),
        put_back=tuple(_lost(log, stream, left)),
        struck_restores=tuple(row.entry for row in wrong),
        restore=_restore(log, honest, left),
        made_up=made_up,
    )


def _lost(log: LogRecord, stream: str, rows: Sequence[LedgerEntry]) -> list[LostEntry]:
    """The bundles of the stream that came in for certain: this station looked into them afterwards. What a copy that
    was put back forgot is not missed: people said where its streams stood."""
    streams, here = log.deeds.streams, {(row.digest, bundle_id(row.stream, row.sequence)) for row in rows}
    found = []
    for digest, (name, _) in log.imported.items():
        of, _, number = name.rpartition("-")
        if of != stream or digest not in streams.inspected or (digest, name) in here or not number.isdecimal():
            continue
        said = streams.imports.get(digest)
        if log.deeds.restored and (said is None or said.time <= log.deeds.restored):
            continue
        at = log.since if said is None else said.time
        found.append(
            LostEntry(
                stream=of, sequence=int(number), digest=digest, id=name, at=at, actor=log.importers.get(digest, "")
            )
        )
    return sorted(found, key=lambda one: one.sequence)


def _restore(
    log: LogRecord, honest: Sequence[record_rows.RestoreRow], rows: Sequence[LedgerEntry]
) -> RestoreRow | None:
    """The row of the newest restore, where it is gone or says another thing than the log of which streams are open."""
    streams = log.deeds.streams
    restore = streams.shut_by([row.created for row in honest])
    if restore is None or not streams.whole:
        return None
    last = next((row for row in reversed(honest) if restore.is_row(row.created)), None)
    if last is not None and not wrongly_opened(streams, honest, rows):
        return None
    resets = [row for row in rows if row.state == "reset"]
    opened = {row.entry for row in resets
              if (row.stream, row.sequence, row.digest) in streams.opened_since(restore, row.stream)}  # fmt: skip
    shut = max((row.entry for row in resets if row.entry not in opened), default=0)
    newest = max((row.entry for row in rows), default=0)
    is_clear = bool(opened) and shut < min(opened)
    return RestoreRow(at=restore.at if last is None else last.created, ledger_entry=shut if is_clear else newest)
