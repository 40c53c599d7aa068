"""The two sides of a move, as the copying sees them. Every method blocks, and raises EngineError or FailedError."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

from appliance.store.moving.compare import Batches, Row
from appliance.store.moving.tables import Table
from appliance.store.whereabouts import Whereabouts

BATCH: Final = 2_000
"""Rows that are read at a time: a few hundred KiB of most tables."""


class Source(Protocol):
    """The database that the station has."""

    def require_movable(self) -> None:
        """Go on only with this program's schema and nothing else: what no table of it holds would be lost. Raises
        RefusedError."""
        ...

    def moment(self) -> AbstractContextManager[None]:
        """While the block runs, `batches` and `numbers` are of one moment."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """While the block runs, nobody writes."""
        ...

    def batches(self, table: Table) -> Batches:
        """A table's rows in the order of its key."""
        ...

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        ...

    def numbers(self) -> Mapping[str, int]:
        """By table that the engine numbers: the last number that was given out."""
        ...

    def size(self) -> int:
        """Bytes that the metadata takes on the disk, indexes included."""
        ...

    def close(self) -> None: ...


class Target(Protocol):
    """The database that the station is to have: until `finish` it is nobody's, and no station opens it."""

    def require_free(self) -> None:
        """Go on only with what is empty, or holds what this move has copied already. Changes nothing. Raises
        FailedError, RefusedError."""
        ...

    def prepare(self) -> None:
        """Make the schema, say whose move it is, and set aside what only finished rows satisfy. Harmless twice."""
        ...

    def is_empty(self, table: Table) -> bool:
        """Whether a table has no row."""
        ...

    def fill(self, table: Table, batches: Batches) -> None:
        """Put rows into a table in one transaction, in the place of what it had."""
        ...

    def change(self, changes: Iterator[tuple[Table, list[Row], list[Row]]]) -> None:
        """In one transaction, of each table: take away the rows of some keys, then put rows in."""
        ...

    def moment(self) -> AbstractContextManager[None]:
        """As Source.moment."""
        ...

    def batches(self, table: Table) -> Batches:
        """As Source.batches."""
        ...

    def settle(self) -> None:
        """What takes long and can be done before the last rows are there."""
        ...

    def finish(self, numbers: Mapping[str, int]) -> None:
        """Make it a station's database, durably."""
        ...

    def place(self) -> None:
        """Put it where the station looks for it. Harmless twice."""
        ...

    def whereabouts(self) -> Whereabouts | None:
        """The note that names it; None for the file of the folder."""
        ...

    def abandon(self) -> None:
        """Take away what the move has made there."""
        ...

    def close(self) -> None: ...
