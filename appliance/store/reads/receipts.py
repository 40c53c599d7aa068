"""Reads for receipts: the last one, and what the next one says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.store.ports import Reader

_LISTED: Final = (
    "SELECT 'out', ?, number, digest, created, created, coalesce(json_extract(document, '$.head'), '') FROM receipts"
    " UNION ALL SELECT 'in', site, number, digest, created, taken, coalesce((SELECT head FROM custody_taken c"
    " WHERE c.site = t.site AND c.number = t.number LIMIT 1), '') FROM receipts_taken t ORDER BY 5 DESC, 3 DESC LIMIT ?"
)
_GIVEN: Final = (
    "SELECT r.number, r.digest, r.created,"
    " (SELECT count(*) FROM pins p WHERE p.bundle = 'receipt:' || r.number),"
    " (SELECT coalesce(sum(b.size), 0) FROM pins p JOIN blobs b ON b.digest = p.digest"
    " WHERE p.bundle = 'receipt:' || r.number),"
    " (SELECT group_concat(s.stream, ' ') FROM stream_bases s WHERE s.receipt = r.number)"
    " FROM receipts r WHERE r.number < ? ORDER BY r.number DESC LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class ListedReceipt:
    """A receipt that this station gave (`direction` is `out`, `at` when) or took from `site` (`in`). `head` is that of
    the audit log that it vouches for, or "". Times are UTC text."""

    direction: str
    site: str
    number: int
    digest: str
    created: str
    at: str
    head: str


@dataclass(frozen=True, slots=True)
class GivenReceipt:
    """A receipt that this station gave, what it holds for deltas, and the streams whose deltas stand on it."""

    number: int
    digest: str
    created: str
    pinned_blobs: int
    pinned_bytes: int
    streams: list[str]


def list_receipts(reader: Reader, site: str, limit: int) -> list[ListedReceipt]:
    """The receipts of both directions, the newest first; `site` is this station's."""
    return [ListedReceipt(*row) for row in reader.execute(_LISTED, (site, limit))]


def given_receipts(reader: Reader, before: int, limit: int) -> list[GivenReceipt]:
    """The receipts that this station gave with a number below `before`, the newest first."""
    rows = reader.execute(_GIVEN, (before, limit))
    return [
        GivenReceipt(number, digest, created, blobs, size, (streams or "").split())
        for number, digest, created, blobs, size, streams in rows
    ]


def last_receipt(reader: Reader) -> tuple[int, str] | None:
    """The number and digest of the last receipt that this station gave."""
    found: tuple[int, str] | None = reader.execute(
        "SELECT number, digest FROM receipts ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return found


def ledger_streams(reader: Reader) -> list[str]:
    """Each stream that the ledger knows, in order."""
    return [str(stream) for (stream,) in reader.execute("SELECT DISTINCT stream FROM ledger ORDER BY stream")]


def last_heard(reader: Reader) -> dict[str, str]:
    """By stream, when its last bundle came in or people set its floor."""
    rows = reader.execute(
        "SELECT stream, max(created) FROM ledger WHERE state IN ('quarantined', 'reset') GROUP BY stream"
    )
    return {str(stream): str(at) for stream, at in rows}


def shown_blobs(reader: Reader) -> list[tuple[str, int]]:
    """Digest and size (bytes) of each blob that a repository shows, by digest."""
    return reader.execute(
        "SELECT digest, size FROM blobs"
        " WHERE EXISTS (SELECT 1 FROM links WHERE links.digest = blobs.digest) ORDER BY digest"
    ).fetchall()


def receipt_rows(reader: Reader) -> list[tuple[int, str, str, str]]:
    """Number, digest, document (JSON) and time (UTC text) of each receipt that this station gave, as its row says."""
    return reader.execute("SELECT number, digest, document, created FROM receipts").fetchall()
