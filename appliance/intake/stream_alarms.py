"""Streams that should speak and do not: silent for longer than the policy lets pass, or shut since a restore."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from appliance import clock
from appliance.station import Station
from appliance.store.reads.receipts import last_heard, ledger_streams
from appliance.store.writes.floors import require_open
from bundles.errors import LockgateError, RefusedError
from bundles.io.display import some
from bundles.signing.trust import TrustFolder

_DAY: Final = 24 * 3600


def silent_streams(station: Station, trust: TrustFolder) -> list[str]:
    """A line for each stream whose last bundle is older than its rule's `silence_days` (bundles.signing.policy)."""
    now = clock.seconds(clock.now())
    heard = last_heard(station.reader)
    for rule in trust.policy.rules:
        if rule.purpose == "bundle" and rule.site:
            heard.setdefault(f"{rule.site}.{station.config.site}", "")
    lines = []
    for stream, at in sorted(heard.items()):
        allowed = trust.policy.rule("bundle", stream.partition(".")[0]).silence_days
        days = (now - clock.seconds(at)) // _DAY if at else None
        if allowed and (days is None or days >= allowed):
            since = "no bundle ever came" if days is None else f"silent for {some(days, 'day')}"
            lines.append(f"{stream}: {since}, alarm after {allowed}; ask the source site whether one was sent")
    return lines


def shut_streams(station: Station, trust: TrustFolder | None = None) -> dict[str, str]:
    """Each stream that a restore shut, with a line about it: those of the ledger, and of every source that is trusted
    (none where the trust folder is damaged, which is a check of its own). `trust`: the folder, where it was read
    already."""
    known = set(ledger_streams(station.reader))
    with suppress(LockgateError):
        for record in (trust or station.trust()).records:
            if "bundle" in record.purposes:
                known.update(f"{site}.{station.config.site}" for site in record.sites)
    found = {}
    for stream in sorted(known):
        try:
            require_open(station.reader, stream)
        except RefusedError as error:
            found[stream] = error.diagnostics()
    return found
