"""Failed log-ins by name and origin: who fails at one address locks nobody out at another."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "DROP TABLE failed_logins",  # locks last for a quarter of an hour at most
    # By name, whether there is such an account or not: a lock must not tell.
    "CREATE TABLE failed_logins (name TEXT NOT NULL, origin TEXT NOT NULL, failures INTEGER NOT NULL,"
    " last TEXT NOT NULL, locked_until TEXT, PRIMARY KEY (name, origin)) STRICT, WITHOUT ROWID",
    "CREATE INDEX failed_logins_by_time ON failed_logins (last)",
)


def apply(db: Database) -> None:
    """Make the table of failed log-ins anew."""
    for statement in _STATEMENTS:
        db.execute(statement)
