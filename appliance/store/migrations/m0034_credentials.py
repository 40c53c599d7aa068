"""Who set each credential of an account, and when (docs/adr/0024-credentials-before-a-grant.md)."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Create the table. `what`: password, uid, bind-key or secret; `thing`: a key's or secret's id, else "".

    `set_by` is "" where that is not known; `under`: who had set what the person was logged in with, where that was
    another; `confirmed_by`: the second person, or `station` after the delay.
    """
    db.execute(
        "CREATE TABLE credentials (account TEXT NOT NULL REFERENCES accounts (name), what TEXT NOT NULL,"
        " thing TEXT NOT NULL, set_by TEXT NOT NULL, at TEXT NOT NULL, under TEXT NOT NULL DEFAULT '',"
        " confirmed_by TEXT NOT NULL DEFAULT '', PRIMARY KEY (account, what, thing)) STRICT, WITHOUT ROWID"
    )
