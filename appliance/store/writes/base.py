"""What a write is: a named, typed transaction that the control process's one writer applies.

Workers and jobs send writes over a socket, so a write is a tagged msgspec struct, and its result is plain data.
Each write runs in its own savepoint inside a group commit: a LockgateError undoes that write alone and reaches
the sender as the same error.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Protocol

import msgspec


class Write(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One transaction. Subclasses carry its fields and say in `apply` what it does."""

    def apply(self, db: sqlite3.Connection) -> Any:
        """Make the change. Returns plain JSON data (str, int, bool, None, list, dict) for the sender."""
        raise LookupError(f"{type(self).__name__} has no apply")


class Writer(Protocol):
    """The way to the one writer, for jobs and folder commands (blocking)."""

    def submit(self, write: Write) -> Any:
        """Apply and commit (durable on return). Raises what `apply` raised; FailedError where the station is gone."""
        ...


class AsyncWriter(Protocol):
    """The way to the one writer, for workers and the control API."""

    async def submit(self, write: Write) -> Any:
        """As Writer.submit."""
        ...
