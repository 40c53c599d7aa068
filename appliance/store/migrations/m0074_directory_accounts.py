"""Which accounts are those of people of the directory: it proves them, and no password of this station does."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Make the table."""
    db.execute(
        "CREATE TABLE directory_accounts (account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (name),"
        " since TEXT NOT NULL) STRICT, WITHOUT ROWID"
    )
