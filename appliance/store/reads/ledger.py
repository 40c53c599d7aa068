"""Reads of the ledger: where each stream stands, and what came when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.store.ports import Reader

_STREAMS: Final = (
    "SELECT stream, 'in', sequence, coalesce(digest, ''), created,"
    " (SELECT count(DISTINCT l.digest) FROM ledger l WHERE l.stream = o.stream),"
    " (SELECT count(*) FROM ledger l WHERE l.stream = o.stream)"
    " FROM ledger o WHERE entry = (SELECT entry FROM ledger l WHERE l.stream = o.stream"
    " ORDER BY sequence DESC, entry DESC LIMIT 1)"
    " UNION ALL SELECT stream, 'out', sequence, coalesce(digest, ''), created,"
    " (SELECT count(*) FROM bundles_out b WHERE b.stream = o.stream),"
    " (SELECT count(*) FROM bundles_out b WHERE b.stream = o.stream)"
    " FROM bundles_out o WHERE sequence = (SELECT max(sequence) FROM bundles_out b WHERE b.stream = o.stream)"
    " ORDER BY stream"
)
_HEADS: Final = (
    "SELECT stream, sequence, coalesce(digest, '') FROM ledger l WHERE entry = (SELECT entry FROM ledger o"
    " WHERE o.stream = l.stream ORDER BY sequence DESC, entry DESC LIMIT 1) ORDER BY stream"
)


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a stream stands that comes in or goes out (`direction`), its last bundle ("" before it is signed), and how
    many bundles and rows there are of it. `last_at` is UTC text."""

    stream: str
    direction: str
    last_sequence: int
    last_digest: str
    last_at: str
    bundles: int
    entries: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A row of the ledger, which is only ever appended to."""

    entry: int
    stream: str
    sequence: int
    digest: str | None
    id: str
    state: str
    why: str
    created: str
    actor: str


@dataclass(frozen=True, slots=True)
class StreamHead:
    """Where the ledger stands on a stream: the last number, and that bundle's digest or ""."""

    stream: str
    sequence: int
    digest: str


def stream_states(reader: Reader) -> list[StreamState]:
    """Each stream of either direction, by name."""
    return [StreamState(*row) for row in reader.execute(_STREAMS)]


def ledger_after(reader: Reader, after: int, limit: int, stream: str = "") -> list[LedgerEntry]:
    """The ledger behind an entry, in order; of one stream where it is given."""
    rows = reader.execute(
        "SELECT entry, stream, sequence, digest, id, state, why, created, actor FROM ledger"
        " WHERE entry > ? AND (? = '' OR stream = ?) ORDER BY entry LIMIT ?",
        (after, stream, stream, limit),
    )
    return [LedgerEntry(*row) for row in rows]


def heads(reader: Reader) -> list[StreamHead]:
    """Where the ledger stands on each stream, by name."""
    return [StreamHead(*row) for row in reader.execute(_HEADS)]


def is_in_ledger(reader: Reader, digest: str) -> bool:
    """Whether the ledger took a bundle."""
    return reader.execute("SELECT 1 FROM ledger WHERE digest = ?", (digest,)).fetchone() is not None
