"""What a load of advisories found that was not found before it, by its generation."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE advisory_news (generation INTEGER NOT NULL, package INTEGER NOT NULL, id TEXT NOT NULL,"
    " PRIMARY KEY (generation, package, id)) STRICT, WITHOUT ROWID",
    "CREATE TABLE advisory_hits (generation INTEGER NOT NULL, image TEXT NOT NULL,"
    " PRIMARY KEY (generation, image)) STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Make the tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
