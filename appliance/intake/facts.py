"""What rules for approvals ask about a bundle, read from its signed manifest."""

from __future__ import annotations

import functools
import hashlib
import sqlite3

from appliance.intake.ledger import Entry, manifest_text
from appliance.policy.approvals import Demand, Facts, Policy, demand
from appliance.station import Station
from bundles.manifest_codec import decode


def demand_of(station: Station, policy: Policy, entry: Entry) -> Demand:
    """What an entry takes on this station."""
    if station.config.open or not policy.rule:
        return demand(policy, station.config, Facts(entry.stream, "", ()))
    return demand(policy, station.config, facts_of(station.reader, entry))


def facts_of(reader: sqlite3.Connection, entry: Entry) -> Facts:
    """The facts of an entry's manifest as the database has it now."""
    text = manifest_text(reader, entry.digest)
    return _facts(entry.digest, hashlib.sha256(text.encode()).hexdigest(), _Text(text))


class _Text:
    """A manifest that is not part of what it is remembered by: its hash is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=256)
def _facts(digest: str, sha256: str, manifest: _Text) -> Facts:
    found = decode(manifest.text.encode())
    kinds = tuple(sorted({artifact.kind for artifact in found.artifacts}))
    return Facts(found.stream, found.classification, kinds)
