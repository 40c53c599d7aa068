"""The errors of the engine behind the store, by what they mean to a caller (docs/adr/0037-store-ports.md).

They are SQLite's own classes under the store's names, so that a read on the registry's path passes no wrapper. The
errors of PostgreSQL are subclasses of them (appliance.store.postgres.faults).
"""

from __future__ import annotations

import sqlite3

EngineError = sqlite3.Error
"""A statement failed: the database is damaged, locked, of another version, or its disk does not answer."""

DamagedEngineError = sqlite3.DatabaseError
"""What the database's file holds cannot be read. Every `UnavailableEngineError` is one, too: catch that first."""

ConflictEngineError = sqlite3.IntegrityError
"""A row cannot be written: another one is in its place, or a rule of the schema refuses it."""

UnavailableEngineError = sqlite3.OperationalError
"""The engine could not carry a statement out: the file cannot be opened or is locked, a table is missing."""


AWAY = "metadata-away"
"""The code of an error that says so to other processes: that the metadata's server is away, or being exchanged."""


def is_full(error: Exception) -> bool:
    """Whether an error says that the disk took no more of a write."""
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, EngineError) and (code == sqlite3.SQLITE_FULL or getattr(error, "is_full", False))


def is_to_be_repeated(error: Exception) -> bool:
    """Whether a transaction met another one, so that all of it is to be applied again: never on SQLite."""
    return getattr(error, "is_to_be_repeated", False)


def is_lost(error: Exception) -> bool:
    """Whether nobody knows if the transaction was committed: never on SQLite."""
    return getattr(error, "is_lost", False)


def is_away(error: BaseException) -> bool:
    """Whether the server that has the metadata could not be reached: never on SQLite."""
    return getattr(error, "is_away", False)


def met_absence(error: BaseException) -> bool:
    """Whether an error, or what it came from, is that the metadata's server was away."""
    seen: BaseException | None = error
    while seen is not None:
        if is_away(seen) or getattr(seen, "code", "") == AWAY:
            return True
        seen = seen.__cause__ or seen.__context__
    return False
