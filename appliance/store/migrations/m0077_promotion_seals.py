"""What was promoted is authenticated: whoever has the database's file leads no rollback to other content."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # appliance.channel_seals; 0 and empty for a row of before.
    "ALTER TABLE promotions ADD COLUMN place INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE promotions ADD COLUMN seal TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE channel_heads (repository TEXT NOT NULL, tag TEXT NOT NULL, seal TEXT NOT NULL,"
    " PRIMARY KEY (repository, tag)) STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Add the columns and make the table."""
    for statement in _STATEMENTS:
        db.execute(statement)
