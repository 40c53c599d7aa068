"""Reads of what deltas stand on: what each destination confirmed, and the want-lists that came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.store.ports import Reader

_STREAMS: Final = (
    "SELECT s.stream, s.last_sequence, r.number, r.created, r.taken, r.inventory,"
    " (SELECT h.sequence FROM receipt_heads h WHERE h.site = r.site AND h.stream = s.stream),"
    " (SELECT count(*) FROM known_inside k WHERE k.site = r.site),"
    " (SELECT coalesce(sum(size), 0) FROM known_inside k WHERE k.site = r.site),"
    " (SELECT count(DISTINCT c.digest) FROM carried_out c WHERE c.stream = s.stream),"
    " (SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT c.digest, c.size FROM carried_out c"
    " WHERE c.stream = s.stream) sent),"
    " (SELECT count(*) FROM wants_taken w JOIN bundles_out b ON b.id = w.bundle WHERE b.stream = s.stream),"
    " (SELECT max(b.created) FROM bundles_out b WHERE b.stream = s.stream)"
    " FROM streams_out s LEFT JOIN receipts_taken r ON r.site = substr(s.stream, instr(s.stream, '.') + 1)"
    " ORDER BY s.stream"
)
_WANTS: Final = (
    "SELECT w.digest, w.bundle, coalesce(b.stream, ''), w.taken FROM wants_taken w"
    " LEFT JOIN bundles_out b ON b.id = w.bundle ORDER BY w.taken DESC, w.digest"
)


@dataclass(frozen=True, slots=True)
class DeltaStream:
    """A stream that leaves here: its last number, the last receipt of its destination (None without one) and whether
    that lists all that is held there, how far it confirms the stream, what it confirms and what the stream carried
    (blobs, bytes), the want-lists of it, and when its last bundle was made (UTC text)."""

    stream: str
    last_sequence: int
    receipt: int | None
    receipt_created: str | None
    receipt_taken: str | None
    inventory: bool
    confirmed_sequence: int | None
    confirmed_blobs: int
    confirmed_bytes: int
    carried_blobs: int
    carried_bytes: int
    want_lists: int
    last_at: str | None


@dataclass(frozen=True, slots=True)
class TakenWantList:
    """A want-list that came back: its digest, the bundle that it is about, that bundle's stream ("" where it is unknown
    here), and when it was taken (UTC text)."""

    digest: str
    bundle: str
    stream: str
    taken: str


def delta_streams(reader: Reader) -> list[DeltaStream]:
    """Each stream that leaves here, by name."""
    return [DeltaStream(*(*row[:5], bool(row[5]), *row[6:])) for row in reader.execute(_STREAMS)]


def taken_want_lists(reader: Reader) -> list[TakenWantList]:
    """Each want-list that was taken, the newest first."""
    return [TakenWantList(*row) for row in reader.execute(_WANTS)]
