"""Reads for receipts: the last one, and what the next one says."""

from __future__ import annotations

import sqlite3


def last_receipt(reader: sqlite3.Connection) -> tuple[int, str] | None:
    """The number and digest of the last receipt that this station gave."""
    found: tuple[int, str] | None = reader.execute(
        "SELECT number, digest FROM receipts ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return found


def ledger_streams(reader: sqlite3.Connection) -> list[str]:
    """Each stream that the ledger knows, in order."""
    return [str(stream) for (stream,) in reader.execute("SELECT DISTINCT stream FROM ledger ORDER BY stream")]


def last_heard(reader: sqlite3.Connection) -> dict[str, str]:
    """By stream, when its last bundle came in or people set its floor."""
    rows = reader.execute(
        "SELECT stream, max(created) FROM ledger WHERE state IN ('quarantined', 'reset') GROUP BY stream"
    )
    return {str(stream): str(at) for stream, at in rows}


def shown_blobs(reader: sqlite3.Connection) -> list[tuple[str, int]]:
    """Digest and size (bytes) of each blob that a repository shows, by digest."""
    return reader.execute(
        "SELECT digest, size FROM blobs"
        " WHERE EXISTS (SELECT 1 FROM links WHERE links.digest = blobs.digest) ORDER BY digest"
    ).fetchall()
