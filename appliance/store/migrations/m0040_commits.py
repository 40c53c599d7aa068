"""How many groups of writes this database has taken: one that went back counts fewer than were promised to somebody."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE commits (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT",
    "INSERT INTO commits (id, value) VALUES (1, 0)",
)


def apply(db: Database) -> None:
    """Create the counter."""
    for statement in _STATEMENTS:
        db.execute(statement)
