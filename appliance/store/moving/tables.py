"""The tables that a move copies: those of this program's schema, parents before what stands on them."""

from __future__ import annotations

import functools
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from appliance.store.sqlite_file import in_memory

_OF_SQLITE: Final = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_sqlite%' ESCAPE '\\'"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, the places among them of its key, and whether the engine numbers its rows. Numbers that
    `never_again` holds for are not given out twice, whatever was deleted."""

    name: str
    columns: tuple[str, ...]
    key: tuple[int, ...]
    numbered: bool
    never_again: bool

    @property
    def listed(self) -> str:
        """The columns as statements have them."""
        return ", ".join(f'"{one}"' for one in self.columns)

    @property
    def keyed(self) -> str:
        """The columns of the key."""
        return ", ".join(f'"{self.columns[place]}"' for place in self.key)


@functools.cache
def tables() -> tuple[Table, ...]:
    """Every table, in the order in which the schema makes them: a table stands behind those that it refers to."""
    with closing(in_memory()) as db:
        found = db.execute(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'table' AND {_OF_SQLITE} ORDER BY rowid"  # noqa: S608
        ).fetchall()
        made = []
        for name, sql in found:
            columns = db.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
            key = [place for _, place in sorted((pk, place) for place, (_, _, pk) in enumerate(columns) if pk)]
            numbered = len(key) == 1 and columns[key[0]][1] == "INTEGER"
            made.append(Table(name, tuple(one for one, _, _ in columns), tuple(key), numbered, "AUTOINCREMENT" in sql))
        return _parents_first(tuple(made), {name: _parents(db, name) for name, _ in found})


def _parents(db: Any, name: str) -> set[str]:
    rows = db.execute('SELECT "table" FROM pragma_foreign_key_list(?)', (name,))
    return {str(parent) for (parent,) in rows} - {name}


def _parents_first(every: tuple[Table, ...], parents: dict[str, set[str]]) -> tuple[Table, ...]:
    """In the given order as far as that can be."""
    placed: list[Table] = []
    left = list(every)
    while left:
        names = {one.name for one in placed}
        ready = next(one for one in left if parents[one.name] <= names)
        placed.append(ready)
        left.remove(ready)
    return tuple(placed)
