"""How far the scrub is, what it found damaged, and what people have blocked."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE scrub (id INTEGER PRIMARY KEY CHECK (id = 1), position TEXT NOT NULL, started TEXT NOT NULL,"
    " finished TEXT, blobs INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT",
    # Without a foreign key: what was found is kept although the blob's own row may go.
    "CREATE TABLE damage (digest TEXT PRIMARY KEY, why TEXT NOT NULL, found TEXT NOT NULL, healed TEXT)"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE blocks (digest TEXT PRIMARY KEY, why TEXT NOT NULL, actor TEXT NOT NULL, created TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Create the lifecycle's tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
