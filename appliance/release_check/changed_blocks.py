"""Blocks that do not stand in the database as the audit log says.

A block is a row, and whoever writes to the database's file can take one away, change it or make one up. Which blocks
are in force follows from the log's events about them, and from what the newest signed cut kept of those that went.
"""

from __future__ import annotations

import time
from typing import Final

from appliance.release_check.log_record import read_log
from appliance.station import Station
from appliance.store.reads.blocks import every_block
from appliance.store.writes.lifecycle import Settle
from bundles.io.display import safe, some

_LISTED: Final = 1_000
_SETTLES: Final = 1.0
"""Seconds in which an act that is recorded comes to the writer: then it is waited for."""

_NAMED: Final = 10
_SAID: Final = {
    "missing": "is missing from the database: its content is shown",
    "changed": "is not the one that was recorded",
    "unexplained": "is in the database, and nobody recorded it",
}


def changed_blocks(station: Station) -> list[dict[str, str]]:
    """Each block that is not what the log says, a thousand at most, the missing ones first: {repository, digest, kind,
    bundle, found}. `kind` is `block`, `found` one of `missing`, `changed` (reason, person or time) and `unexplained`;
    `repository` and `bundle` are empty: a block holds everywhere.

    Raises FailedError where the log cannot be read.
    """
    found = _look(station)
    if found:  # an act is recorded before its transaction, which may be on its way
        time.sleep(_SETTLES)
        station.writer.submit(Settle())
        again = _look(station)
        found = [one for one in found if one in again]
    return found[:_LISTED]


def _look(station: Station) -> list[dict[str, str]]:
    log = read_log(station.paths, station.config.site)
    blocks = log.blocks
    whole = blocks.whole and not (log.lost or log.damaged)
    seen: set[str] = set()
    changed: list[str] = []
    unexplained: list[str] = []
    for digest, why, actor, created in every_block(station.reader):
        if digest in blocks.unsure:
            continue
        if digest in blocks.said:
            seen.add(digest)
        block = blocks.said.get(digest)
        if block is None:
            if (whole or digest in blocks.said) and len(unexplained) < _LISTED:
                unexplained.append(digest)
        elif not block.is_row(why, actor, created) and len(changed) < _LISTED:
            changed.append(digest)
    missing = [digest for digest, block in sorted(blocks.said.items()) if block is not None and digest not in seen]
    return [
        {"repository": "", "digest": digest, "kind": "block", "bundle": "", "found": what}
        for what, digests in (("missing", missing), ("changed", changed), ("unexplained", unexplained))
        for digest in digests[:_LISTED]
    ]


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each block, ten at most, and how many there are besides."""
    lines = [
        f"block: the block of {safe(one['digest'])} {_SAID[one['found']]}; see: lockgate intake check"
        for one in found[:_NAMED]
    ]
    more = len(found) - len(lines)
    return (
        [
            *lines,
            f"block: {some(more, 'more block is', 'more blocks are')} not what was recorded; see: lockgate"
            f" intake check",
        ]
        if more
        else lines
    )
