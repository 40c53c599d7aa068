"""Accounts, their roles, keys and secrets, refresh tokens, and failed log-ins."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # `generation` grows with every change that takes something away; a token carries the one it was made under.
    "CREATE TABLE accounts (name TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('person', 'robot')),"
    " full_name TEXT NOT NULL, password TEXT, uid INTEGER UNIQUE, disabled TEXT, generation INTEGER NOT NULL,"
    " created TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE grants (account TEXT NOT NULL REFERENCES accounts (name), role TEXT NOT NULL, pattern TEXT NOT NULL,"
    " PRIMARY KEY (account, role, pattern)) STRICT, WITHOUT ROWID",
    # A key stands for one person; a person may have several.
    "CREATE TABLE account_keys (keyid TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (name),"
    " bound TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX account_keys_by_account ON account_keys (account)",
    "CREATE TABLE robot_secrets (id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (name),"
    " hash TEXT NOT NULL, created TEXT NOT NULL, expires TEXT NOT NULL, revoked TEXT) STRICT, WITHOUT ROWID",
    "CREATE INDEX robot_secrets_by_account ON robot_secrets (account)",
    # `family`: what one log-in gave, through all its rotations.
    "CREATE TABLE refresh_tokens (id TEXT PRIMARY KEY, family TEXT NOT NULL,"
    " account TEXT NOT NULL REFERENCES accounts (name), client TEXT NOT NULL, hash TEXT NOT NULL,"
    " created TEXT NOT NULL, expires TEXT NOT NULL, used TEXT, revoked TEXT) STRICT, WITHOUT ROWID",
    "CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family)",
    "CREATE INDEX refresh_tokens_by_account ON refresh_tokens (account)",
    # By name, whether there is such an account or not: a lock must not tell.
    "CREATE TABLE failed_logins (name TEXT PRIMARY KEY, failures INTEGER NOT NULL, last TEXT NOT NULL,"
    " locked_until TEXT) STRICT, WITHOUT ROWID",
    "CREATE INDEX failed_logins_by_time ON failed_logins (last)",
)


def apply(db: Database) -> None:
    """Create the tables of access."""
    for statement in _STATEMENTS:
        db.execute(statement)
