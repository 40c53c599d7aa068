"""Deltas: what each inside station is known to hold, what a receipt keeps there, and what bundles carried out."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # Outside: the last receipt taken of each site, and the blobs it listed. `inventory` is 0 where it listed none.
    "CREATE TABLE receipts_taken (site TEXT PRIMARY KEY, number INTEGER NOT NULL, digest TEXT NOT NULL,"
    " inventory INTEGER NOT NULL, created TEXT NOT NULL, taken TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE receipt_heads (site TEXT NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " PRIMARY KEY (site, stream)) STRICT, WITHOUT ROWID",
    "CREATE TABLE known_inside (site TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,"
    " PRIMARY KEY (site, digest)) STRICT, WITHOUT ROWID",
    # Outside: what each signed bundle carried; a delta by sequence assumes that it arrived.
    "CREATE TABLE carried_out (stream TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL, PRIMARY KEY (stream, sequence, digest)) STRICT, WITHOUT ROWID",
    "CREATE INDEX carried_out_by_digest ON carried_out (stream, digest)",
    # Outside: want-lists that were read, so that none is applied twice.
    "CREATE TABLE wants_taken (digest TEXT PRIMARY KEY, bundle TEXT NOT NULL, taken TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID",
    # Inside: pins are held for a bundle, or for a receipt (`receipt:<number>`) on which deltas may stand.
    "CREATE TABLE pins_held (bundle TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (bundle, digest))"
    " STRICT, WITHOUT ROWID",
    "INSERT INTO pins_held SELECT bundle, digest FROM pins",
    "DROP TABLE pins",
    "ALTER TABLE pins_held RENAME TO pins",
    "CREATE INDEX pins_by_digest ON pins (digest)",
    # Inside: the latest receipt that a bundle of each stream was built on.
    "CREATE TABLE stream_bases (stream TEXT PRIMARY KEY, receipt INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Create the delta tables, and let a pin be a receipt's."""
    for statement in _STATEMENTS:
        db.execute(statement)
