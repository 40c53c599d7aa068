"""Triggers, views and unique indexes of the database: what runs or refuses by itself there is this program's alone.

Whoever has the database's file could lay code into it that outlives their access: a trigger that lets a block, a
revocation or a number pass without effect while everybody is told that it was done. The writer looks before it writes,
each time that the schema was changed (one number of SQLite's, PRAGMA schema_version), and puts it right.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable
from contextlib import closing
from typing import Final, Protocol

from appliance.store.ports import Connection

_log: Final = logging.getLogger(__name__)

_Code = tuple[str, str, str]
"""Type, name, and the statement that made it."""

Fresh = Callable[[], "Closable"]
"""Makes a database of this program's schema without content."""

USUAL: Final = "2e977f3b65f95d9b"
"""What `seal` makes of this version's own: it need not be worked out then. Another value is compared in full, so that
one that was forgotten here costs time alone; store/test_own_code says the right one."""


class Closable(Connection, Protocol):
    """A connection of one's own."""

    def close(self) -> None: ...


class CodeKeeper:
    """Looks before each group of writes, the writer's."""

    def __init__(self, fresh: Fresh) -> None:
        self._fresh = fresh
        self._seen: int | None = None
        self._in_group: int | None = None

    def begin(self, db: Connection) -> None:
        """At the beginning of a transaction, whose part it is."""
        if _version(db) != self._seen:
            put_right(db, self._fresh)

    def end(self, db: Connection) -> None:
        """At its end: what writes of the group made is theirs."""
        self._in_group = _version(db)

    def tell(self) -> None:
        """Behind the commit."""
        self._seen = self._in_group


def put_right(db: Connection, fresh: Fresh) -> None:
    """Drop what is not this program's, and make what was dropped again. Each is an error in the log."""
    found = _code(db)
    if seal(found) == USUAL:
        return
    own = _own(fresh)
    for kind, name, _ in sorted(found - own):
        _log.error("the metadata holds a %s that is not of this version, dropped: %s", kind, ascii(name)[:80])
        db.execute(f"DROP {kind} {_quoted(name)}")
    for kind, name, statement in sorted(own - found):
        _log.error("the metadata's %s was dropped by hand, made again: %s", kind, name)
        db.execute(statement)


def strange_code(db: Connection, fresh: Fresh) -> list[str]:
    """The names of what is not this program's, or was dropped."""
    return sorted({name for _, name, _ in _code(db) ^ _own(fresh)})


def seal(code: frozenset[_Code]) -> str:
    """A short word for what there is."""
    return hashlib.sha256(repr(sorted(code)).encode()).hexdigest()[:16]


def _version(db: Connection) -> int:
    return int(db.execute("PRAGMA schema_version").fetchone()[0])


def _code(db: Connection) -> frozenset[_Code]:
    return frozenset(
        db.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"
            " OR (type = 'index' AND sql LIKE 'CREATE UNIQUE%')"
        ).fetchall()
    )


@functools.cache
def _own(fresh: Fresh) -> frozenset[_Code]:
    with closing(fresh()) as database:
        return _code(database)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
