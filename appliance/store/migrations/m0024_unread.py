"""Which blobs could not be read, and how far the station's own rereading is."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # Without a foreign key: a blob's own row may go.
    "CREATE TABLE unread (digest TEXT PRIMARY KEY, why TEXT NOT NULL, found TEXT NOT NULL, last TEXT NOT NULL,"
    " times INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE reread (id INTEGER PRIMARY KEY CHECK (id = 1), position TEXT NOT NULL, started TEXT NOT NULL,"
    " finished TEXT) STRICT",
)


def apply(db: Database) -> None:
    """Create both tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
