"""Outgoing streams: the sequences that were taken, and the bundles that took them."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE streams_out (stream TEXT PRIMARY KEY, last_sequence INTEGER NOT NULL, last_digest TEXT)"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE bundles_out (id TEXT PRIMARY KEY, stream TEXT NOT NULL, sequence INTEGER NOT NULL, digest TEXT,"
    " state TEXT NOT NULL CHECK (state IN ('to-sign', 'signed', 'written', 'voided')), job_id TEXT NOT NULL,"
    " created TEXT NOT NULL, UNIQUE (stream, sequence)) STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Create the outgoing tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
