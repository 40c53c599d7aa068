"""What an engine of the metadata does that no statement says: the port, and the way from a connection to its engine.

Statements are the same on both engines (docs/adr/0060-two-engines.md). SQLite's connection is the store's port itself
and carries nothing more; any other one names its engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from appliance.store.ports import Connection, Reader
from appliance.store.sqlite_engine import SQLITE


class Engine(Protocol):
    """One kind of database. Every call raises `appliance.store.errors.EngineError`."""

    def revision(self, reader: Reader) -> int:
        """Another number whenever another connection changed the database since this one asked last."""
        ...

    def keep_pages(self, reader: Reader, most: int) -> None:
        """Let a connection keep up to `most` bytes of the database in memory, where that is its own to keep."""
        ...

    def damage(self, reader: Reader, most: int) -> Iterator[str]:
        """At most `most` sentences of what is damaged in the structure: every index is held against its table. Raises
        FailedError where that cannot be looked at."""
        ...

    def orphans(self, reader: Reader, most: int) -> list[tuple[str, str]]:
        """Of rows that stand on one that is missing: their table, and the table of the missing one; at most `most`."""
        ...

    def without_triggers(self, db: Connection, table: str) -> AbstractContextManager[None]:
        """The triggers of a table stand aside, in the transaction that is open."""
        ...

    def counts_commits(self) -> bool:
        """Whether the database counts its groups of writes, to be held against a number outside of it."""
        ...

    def file_of(self, db: Reader) -> Path | None:
        """The file of the database; None where it has none, or none of its own."""
        ...


class Source(Protocol):
    """Where metadata is that is in no file of the station's folder."""

    def open_reader(self) -> Reader:
        """As `appliance.store.database.open_reader`."""
        ...

    def open_writer(self) -> Connection:
        """As `appliance.store.database.open_writer`."""
        ...


def engine_of(reader: Reader) -> Engine:
    """The engine of a connection."""
    found: Engine = getattr(reader, "engine", SQLITE)
    return found


def revision(reader: Reader) -> int:
    """Another number whenever another connection changed the database since this one asked last."""
    return engine_of(reader).revision(reader)
