"""What is loaded of advisories is authenticated: whoever has the database's file takes no advisory out of it."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # appliance.advisories.sums; all are empty for a load of before.
    "ALTER TABLE advisory_sources ADD COLUMN salt TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE advisory_sources ADD COLUMN bits INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE advisory_sources ADD COLUMN news TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE advisory_sources ADD COLUMN hits TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE advisory_sources ADD COLUMN seal TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE advisory_sums (generation INTEGER NOT NULL, bucket INTEGER NOT NULL, records BLOB NOT NULL,"
    " seal TEXT NOT NULL, PRIMARY KEY (generation, bucket)) STRICT, WITHOUT ROWID",
    "CREATE TABLE advisory_list (id INTEGER PRIMARY KEY CHECK (id = 1), sources TEXT NOT NULL, seal TEXT NOT NULL)"
    " STRICT",
)


def apply(db: Database) -> None:
    """Add the columns and make the tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
