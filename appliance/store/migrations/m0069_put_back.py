"""Which database was written last, and that one went back: what a number of commits alone does not tell."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE writer_starts (entry INTEGER PRIMARY KEY AUTOINCREMENT, mark INTEGER NOT NULL UNIQUE) STRICT",
    "CREATE TABLE went_back (id INTEGER PRIMARY KEY CHECK (id = 1), at TEXT NOT NULL, what TEXT NOT NULL) STRICT",
)


def apply(db: Database) -> None:
    """Make the tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
