"""The ledger's overrides: what people signed, the clock's floor, and restores after which imports are shut."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # One row a person and subject; `spent` when enough people had said the same and it was done.
    "CREATE TABLE overrides (entry INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, keyid TEXT NOT NULL,"
    " owner TEXT NOT NULL, document TEXT NOT NULL, signature BLOB NOT NULL, created TEXT NOT NULL, spent TEXT) STRICT",
    "CREATE UNIQUE INDEX overrides_open ON overrides (subject, keyid) WHERE spent IS NULL",
    # The last row counts: the newest `created` of a bundle that came in, or what two people set it back to.
    "CREATE TABLE clock_floors (entry INTEGER PRIMARY KEY AUTOINCREMENT, floor TEXT NOT NULL, why TEXT NOT NULL,"
    " created TEXT NOT NULL, actor TEXT NOT NULL) STRICT",
    # After a restore the ledger may be behind: a stream is open again by a floor set after `ledger_entry`.
    "CREATE TABLE restores (entry INTEGER PRIMARY KEY AUTOINCREMENT, ledger_entry INTEGER NOT NULL,"
    " created TEXT NOT NULL, actor TEXT NOT NULL) STRICT",
)


def apply(db: Database) -> None:
    """Create the ledger's further tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
