"""Rows of the ledger, of restores and of the clock's floors that are not what the audit log says: missing, changed or
made up. A row that somebody made up blocks the next bundle of its stream, shuts imports, or sets the clock ahead."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from appliance import clock
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.stream_record import Imported, StreamRecord
from appliance.station import Station
from appliance.store.reads.record_rows import (
    ClockFloor,
    LedgerEntry,
    RestoreRow,
    clock_floor_rows,
    entry_states,
    ledger_rows,
    restore_rows,
)
from bundles.format.manifest import bundle_id

Finding = tuple[str, str, str]
"""The thing, `missing`, `changed` or `unexplained`, and the bundle's id ("" for none)."""
_LATE: Final = 3_600
"""Seconds by which a floor of the clock may be older than the newest import: an import's transaction comes later than
its event, or a little earlier."""
_AHEAD: Final = 24 * 3_600
"""Seconds by which a bundle may be made ahead of this station's clock: as `bundles.decide.bundle` has it."""


def changed_ledger(station: Station, log: LogRecord) -> Iterator[Finding]:
    """Each such row. Of what the log no longer holds, and no cut kept, nothing is said."""
    rows = ledger_rows(station.reader)
    yield from _missing(station, log, rows)
    wrong = list(not_of_log(log, rows))
    known = {row.entry for row in wrong}
    wrong += [row for row in rows if row.state != "reset" and row.entry not in known and not _is_said(log, row)]
    for row in wrong:
        name = row.id or f"{row.stream}-{row.sequence:06d}"
        thing = f"the floor {row.sequence} of {row.stream}" if row.state == "reset" else f"the ledger's entry of {name}"
        yield thing, "unexplained", row.id
    for digest, (name, _) in sorted(entry_states(station.reader).items()):
        if digest not in log.imported:
            yield f"the entry of {name}", "unexplained", name
    if station.config.side == "inside":
        yield from _restores(log, restore_rows(station.reader), rows)
    yield from _clocks(log, clock_floor_rows(station.reader))


def is_known(log: LogRecord, at: str) -> bool:
    """Whether the event of a row that was made at a time is in what is left of the log, or in what a cut kept."""
    return log.deeds.whole or at >= log.since


def _missing(station: Station, log: LogRecord, rows: Sequence[LedgerEntry]) -> Iterator[Finding]:
    """Every bundle that came in stands in the ledger, under its number: the next must be greater."""
    here = {(row.digest, bundle_id(row.stream, row.sequence)) for row in rows}
    states = entry_states(station.reader)
    for digest, (name, _) in sorted(log.imported.items()):
        # Where the bundle's entry is gone too, `unexplained` names it.
        if (digest, name) not in here and digest in states:
            yield f"the ledger's entry of {name}", "missing", name


def not_of_log(log: LogRecord, rows: Sequence[LedgerEntry]) -> Iterator[LedgerEntry]:
    """The rows of the ledger whose bundle never came in by the log, and the floors that nobody set."""
    streams, floors = log.deeds.streams, Counter[tuple[str, int, str]]()
    for row in rows:
        if row.state == "reset":
            floor = (row.stream, row.sequence, row.digest)
            floors[floor] += 1
            if floors[floor] > streams.floors.get(floor, 0) and (streams.whole or is_known(log, row.created)):
                yield row
            continue
        name = log.imported.get(row.digest, ("", ""))[0]
        if not name or row.id != name or bundle_id(row.stream, row.sequence) != name:
            yield row


def _is_said(log: LogRecord, row: LedgerEntry) -> bool:
    """Whether an event explains a row about a bundle that came in."""
    steps = log.deeds.steps
    return {
        "quarantined": True,
        "approved": not steps.is_exact(row.digest) or (row.digest, "approved") in steps.steps,
        "released": row.digest in log.ever,
        "rejected": row.digest in log.rejected,
        "withdrawn": row.digest in log.undone,
    }.get(row.state, False)


def made_up_restores(streams: StreamRecord, rows: Sequence[RestoreRow]) -> list[RestoreRow]:
    """The rows of restores that no event explains."""
    left = list(streams.restores)
    found = []
    for row in reversed(rows):
        said = next((one for one in left if one.is_row(row.created)), None)
        if said is None:
            found.append(row)
        elif said.exact:
            left.remove(said)
    return found


def _restores(log: LogRecord, rows: Sequence[RestoreRow], ledger: Sequence[LedgerEntry]) -> Iterator[Finding]:
    streams = log.deeds.streams
    wrong = made_up_restores(streams, rows) if streams.whole else []
    for row in wrong:
        yield f"the restore of {row.created}", "unexplained", ""
    named = {row.entry for row in wrong}
    honest = [row for row in rows if row.entry not in named]
    if max((row.created for row in rows), default="") < log.deeds.restored:
        yield f"the restore of {log.deeds.restored}", "missing", ""
    elif honest and streams.whole and wrongly_opened(streams, honest, ledger):
        yield f"the restore of {honest[-1].created}", "changed", ""


def wrongly_opened(streams: StreamRecord, rows: Sequence[RestoreRow], ledger: Sequence[LedgerEntry]) -> dict[str, bool]:
    """The streams that the newest restore's row shuts or opens otherwise than the log, each with whether it is open by
    the log. Each of `rows` is of a restore by the log, and there is one."""
    restore, last = streams.shut_by([row.created for row in rows]), rows[-1].ledger_entry
    by_rows = {row.stream for row in ledger if row.state == "reset" and row.entry > last}
    held = Counter((row.stream, row.sequence, row.digest) for row in ledger if row.state == "reset")
    found = {}
    for stream in {row.stream for row in ledger}:
        floors = set() if restore is None else streams.opened_since(restore, stream)
        # One that was recorded and, by a kill, not done has no row.
        is_open = any(0 < held[floor] >= streams.floors.get(floor, 0) for floor in floors)
        is_open = is_open or (stream in by_rows and any(held[floor] for floor in floors))
        if is_open != (stream in by_rows):
            found[stream] = is_open
    return found


def _clocks(log: LogRecord, rows: Sequence[ClockFloor]) -> Iterator[Finding]:
    """A floor of the clock only rises, with the bundles that come in; people set it."""
    streams = log.deeds.streams
    named: dict[str, list[Imported]] = defaultdict(list)
    for one in streams.imports.values():
        named[one.name].append(one)
    known = {name for name, _ in log.imported.values()}
    highest: dict[str, str] = {}
    set_by_people, set_by_imports = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    found: dict[str, list[Finding]] = defaultdict(list)
    for row in rows:
        key = (row.stream, row.floor)
        thing = f"the clock's floor {row.floor}{f' of {row.stream}' if row.stream else ''}"
        if set_by_people[key] < streams.clocks.get(key, 0) and row.why not in known:
            set_by_people[key] += 1
            found[row.stream].clear()  # what people set counts from then on
        elif row.floor < highest.get(row.stream, "") and log.deeds.whole:
            found[row.stream].append((thing, "unexplained", ""))
        elif streams.whole or (row.why not in known and is_known(log, row.created)):
            set_by_imports[row.stream, row.why] += 1
            imports = named.get(row.why, [])
            if set_by_imports[row.stream, row.why] > len(imports) or not _is_of_import(row, imports):
                found[row.stream].append((thing, "unexplained", row.why if row.why in known else ""))
        highest[row.stream] = row.floor
    for each in found.values():
        yield from each
    yield from _missing_clocks(log, highest)


def _is_of_import(row: ClockFloor, imports: Sequence[Imported]) -> bool:
    """Whether a floor follows from an import: the station's own clock then, or when the bundle was made. Events of an
    earlier version do not say the latter, and an earlier version let bundles move the station's floor."""
    for one in imports:
        at, floor = _seconds(one.time), _seconds(row.floor)
        if not one.created:
            if floor <= at + _AHEAD + _LATE:
                return True
        elif row.stream:
            if row.stream == one.stream and row.floor == one.created:
                return True
        elif abs(floor - at) <= _LATE:
            return True
    return False


def _missing_clocks(log: LogRecord, highest: dict[str, str]) -> Iterator[Finding]:
    deeds, streams = log.deeds, log.deeds.streams
    own, arrived = highest.get("", ""), streams.arrived() or ("" if streams.imports else deeds.arrived)
    if arrived > deeds.restored:
        least = clock.seconds(arrived) - _LATE
        people = any(not stream for stream, _ in streams.clocks)  # they set it where a clock was wrong
        if not own or (not people and _seconds(own) < least):
            yield f"the clock's floor since the import of {arrived}", "missing", ""
    wanted: dict[str, str] = {}
    for digest, one in streams.imports.items():
        if one.time > deeds.restored and digest in streams.inspected:
            wanted[one.stream] = max(wanted.get(one.stream, ""), one.created)
    for stream, floor in sorted(wanted.items()):
        if highest.get(stream, "") < floor and not any(name == stream for name, _ in streams.clocks):
            yield f"the clock's floor {floor} of {stream}", "missing", ""


def _seconds(text: str) -> int:
    try:
        return clock.seconds(text)
    except ValueError:  # made up
        return 1 << 62
