"""Blocks and withdrawals that the audit log knows and the database has forgotten: they hold again before anything is
served.

An older copy of an inside's database, or one whose write-ahead log was deleted, would serve what people had blocked or
withdrawn since. The log's own words make the row of a block: digest, reason, person and time. A bundle whose release
was taken back by the log, and is released by the database, is withdrawn as people do it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field

from appliance.intake.release import prepare_withdraw
from appliance.paths import StationPaths
from appliance.release_check.log_record import read_log
from appliance.station import Station, open_station
from appliance.store.database import open_writer
from appliance.store.errors import EngineError
from appliance.store.reads.blocks import every_block
from appliance.store.reads.intake import Entry, cursor, list_entries
from appliance.store.writer.service import LocalWriter
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.write import Guarded, under_event
from bundles.errors import LockgateError

_PAGE = 100
_WHY = "the audit log says that it was withdrawn, and an older copy of the database had forgotten that"


def block_again(paths: StationPaths, site: str) -> list[str]:
    """Block what the log says is blocked and the database does not; the digests. For a station that does not run.

    Raises FailedError where the log cannot be read or the database cannot be written.
    """
    said = read_log(paths, site).blocks.said
    with closing(open_writer(paths.database)) as db:
        held = {digest for digest, _, _, _ in every_block(db)}
        lost = {digest: block for digest, block in sorted(said.items()) if block is not None and digest not in held}
        with under_event():  # the event of each is the one that is read here
            for digest, block in lost.items():
                Guarded(LocalWriter(db)).submit(Block(digest=digest, why=block.why, actor=block.actor, at=block.at))
    return list(lost)


@dataclass(slots=True)
class WithdrawnAgain:
    """The bundles that were withdrawn again, by id, and those that could not be, each with the reason."""

    bundles: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def withdraw_again(paths: StationPaths, site: str) -> WithdrawnAgain:
    """Withdraw what the log says is withdrawn and the database still shows. For a station that does not run.

    Raises FailedError where the log cannot be read or the database cannot be written.
    """
    log, found = read_log(paths, site), WithdrawnAgain()
    with closing(open_writer(paths.database)) as db:
        station = open_station(paths.root, Guarded(LocalWriter(db)))
        try:
            entries = [one for one in _released(station) if one.digest in log.undone and one.digest not in log.released]
            with under_event():  # the event of each is the withdrawal that the log holds
                for entry in entries:
                    try:
                        station.writer.submit(prepare_withdraw(station, entry, _WHY, "station"))
                        found.bundles.append(entry.id)
                    except (LockgateError, EngineError) as error:
                        found.failed.append(f"{entry.id} ({error})")
        finally:
            station.metadata.close()
            station.reader.close()
    return found


def _released(station: Station) -> list[Entry]:
    found, after = list[Entry](), ""
    while page := list_entries(station.reader, _PAGE, after, "released"):
        found, after = [*found, *page], cursor(page[-1])
    return found
