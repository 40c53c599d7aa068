"""At what digests tags were followed from other stations: the third side of each comparison."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENT = (
    # `number` counts what was followed at a tag, the newest last; `digest` is "" where its end was followed.
    "CREATE TABLE replica_tags (replica TEXT NOT NULL, repository TEXT NOT NULL, tag TEXT NOT NULL,"
    " number INTEGER NOT NULL, digest TEXT NOT NULL, at TEXT NOT NULL,"
    " PRIMARY KEY (replica, repository, tag, number)) STRICT, WITHOUT ROWID"
)


def apply(db: Database) -> None:
    """Create the table."""
    db.execute(_STATEMENT)
