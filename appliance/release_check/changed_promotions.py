"""Rows of `promotions` that are not what the station wrote, by their seals, or not what the audit log says.

A rollback goes by these rows. Seals are verified at each; the log is read as well, since it knows of rows that went
with the head of their channel, and proves those that an earlier version wrote without a seal.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from appliance.advisories.seals import index_key
from appliance.channel_seals import Chain, chain_of
from appliance.release_check.changed_ledger import is_known
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.log_record import read_log
from appliance.release_check.promotion_record import Moved, PromotionEvent
from appliance.station import Station
from appliance.store.reads.promotions import Promoted, channels, head_of, of_tag
from bundles.io.display import safe

CHANNEL: Final = "channel"
"""The kind of such a finding."""
_LISTED: Final = 1_000
_SETTLES: Final = 1.0
"""Seconds after which a finding is looked at again: an act is recorded before its transaction."""


class Proved(NamedTuple):
    """What seals and log say of a channel. `rows` are what counts, the oldest first; `unproved` is how many rows of an
    earlier version the log does not prove, which do not count; `found` is (digest, how) of each row that is `changed`,
    `missing` or `unexplained`, the digest empty where the rows themselves do not tell."""

    rows: Sequence[Promoted]
    unproved: int
    found: Sequence[tuple[str, str]]


def changed_promotions(station: Station) -> list[dict[str, str]]:
    """Each such row, a thousand at most: {repository, tag, digest, kind, bundle, found}. Of what the log no longer
    holds, and no cut kept, the seals alone speak. Raises FailedError where the log cannot be read."""
    found = _look(station)
    if found:
        time.sleep(_SETTLES)
        again = _look(station)
        found = [one for one in found if one in again]
    return found[:_LISTED]


def _look(station: Station) -> list[dict[str, str]]:
    log = read_log(station.paths, station.config.site)
    told = {tuple(channel.rsplit(":", 1)) for channel in log.deeds.promotions.told}
    every = sorted({*channels(station.reader), *told})
    key = index_key(station.paths) if every else b""
    return [
        {"repository": repository, "tag": tag, "digest": digest, "kind": CHANNEL, "bundle": "", "found": how}
        for repository, tag in every
        for digest, how in proved(station, log, key, repository, tag).found
    ]


def proved(station: Station, log: LogRecord, key: bytes, repository: str, tag: str) -> Proved:
    """What seals and log say of one channel; `key` is the station's (`index_key`)."""
    rows = of_tag(station.reader, repository, tag)
    chain = chain_of(key, rows, head_of(station.reader, repository, tag))
    if chain.damaged:
        return Proved((), 0, [("", chain.damaged)])
    told = log.deeds.promotions.told.get(f"{repository}:{tag}", [])
    if any(one.anew for one in told):
        chain = chain._replace(unsealed=())
    return _held(log, chain, told, station.metadata.tag_target(repository, tag) or "")


def _held(log: LogRecord, chain: Chain, told: Sequence[PromotionEvent], stands: str) -> Proved:
    left, known = Counter(one.moved for one in told), not (log.lost or log.damaged)
    found, explained = list[tuple[str, str]](), list[bool]()
    for row in (*chain.unsealed, *chain.rows):
        said = Moved.of_row(row)
        key = said if left[said] else said._replace(before="", at="")  # an event of an earlier version has neither
        explained.append(left[key] > 0)
        if left[key]:
            left[key] -= 1
        elif known and (log.deeds.promotions.whole or is_known(log, row.at)):
            found.append((row.digest, "unexplained"))
    if known:
        found += _missing(told, left, log.deeds.restored, stands)
    count = len(chain.unsealed)
    first = next((at for at in range(count, 0, -1) if not explained[at - 1]), 0)
    rows = list(chain.unsealed[first:])
    if rows:
        rows[0] = rows[0]._replace(before="")  # no event says where the tag stood then
    return Proved((*rows, *chain.rows), first, found)


def _missing(
    told: Sequence[PromotionEvent], left: Counter[Moved], restored: str, stands: str
) -> Iterator[tuple[str, str]]:
    """Events without a row. The newest may have been recorded and not done when the power went: then the tag does not
    stand there. What a copy that was put back forgot is no finding."""
    for at, one in enumerate(told):
        lost = left[one.moved] > 0
        left[one.moved] -= lost
        if lost and one.time > restored and (at or one.moved.digest == stands):
            yield one.moved.digest, "missing"
        if one.anew:  # what was before it is followed by nobody
            return


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each channel."""
    every: dict[str, str] = {}
    for one in found:
        every.setdefault(f"{one['repository']}:{one['tag']}", one["found"])
    return [
        f"release: promotions of {safe(channel)} are {how} in the database: it was changed by hand, and nothing rolls"
        " back there; see: lockgate intake check"
        for channel, how in every.items()
    ]
