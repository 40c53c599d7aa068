"""The errors of the engine behind the store, by what they mean to a caller (docs/adr/0037-store-ports.md).

They are SQLite's own classes under the store's names, so that a read on the registry's path passes no wrapper. A second
engine makes each name the common base of both.
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


def is_full(error: Exception) -> bool:
    """Whether an error says that the disk took no more of a write."""
    return isinstance(error, EngineError) and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
