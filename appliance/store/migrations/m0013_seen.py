"""When an account last proved itself: a name that nobody uses any more is seen, and disabled."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Create the table of last log-ins."""
    db.execute(
        "CREATE TABLE accounts_seen (account TEXT PRIMARY KEY REFERENCES accounts (name), at TEXT NOT NULL)"
        " STRICT, WITHOUT ROWID"
    )
