"""Blocks that the audit log knows and the database has forgotten: they hold again before anything is served.

An older copy of an inside's database, or one whose write-ahead log was deleted, would serve what people had blocked
since. The log's own words make the row: digest, reason, person and time.
"""

from __future__ import annotations

from contextlib import closing

from appliance.intake.log_record import read_log
from appliance.paths import StationPaths
from appliance.store.blocks import every_block
from appliance.store.database import open_writer
from appliance.store.writer.service import LocalWriter
from appliance.store.writes.base import Guarded, under_event
from appliance.store.writes.lifecycle import Block


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
