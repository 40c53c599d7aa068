"""Opens a database of SQLite: the one write connection, and any number of readers."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from appliance.limits import store as limits
from appliance.store import own_code
from appliance.store.rows import add_functions, as_text
from bundles.errors import FailedError, RefusedError, UsageError
from bundles.io.files import own_as_folder, write_atomic

MOVED: Final = "moved"
"""The table that a database has whose metadata was moved away, with one row: where it went, and when."""


def require_not_moved(path: Path) -> None:
    """Go on only with a database that is the station's still. Raises RefusedError naming where its metadata went,
    sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as reader:
        _require_not_moved(reader, path)


def _require_not_moved(reader: sqlite3.Connection, path: Path) -> None:
    if reader.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (MOVED,)).fetchone() is None:
        return
    place, at = reader.execute(f"SELECT place, at FROM {MOVED}").fetchone() or ("", "")  # noqa: S608  a constant
    raise RefusedError(
        "the station's metadata was moved, and is in this file no more",
        thing=f"{path}: at {str(at)[:40]} to {str(place)[:200]}",
        remedy="put metadata.json and url below [metadata] back as they were; then it goes back into a file with:"
        " lockgate migrate --metadata file",
    )


def open_file(path: Path) -> sqlite3.Connection:
    """The one write connection, migrated: WAL, `synchronous=FULL`, transactions begun by hand.

    Raises FailedError when the file is no database, cannot be written, or belongs to a newer program.
    """
    if not path.exists():
        with contextlib.suppress(UsageError):  # another process made it meanwhile
            write_atomic(path, _new_database(), 0o600, replace=False, owned=True)
    try:
        _give_to_owner(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=limits.SQLITE_BUSY)
        _require_not_moved(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        add_functions(connection)
        connection.text_factory = as_text  # what is no text is another row: the checksum says so
        connection.execute(f"PRAGMA cache_size = -{limits.WRITER_PAGES // 1024}")
        _migrate(connection)
        own_code.put_right(connection, in_memory)
    except (sqlite3.Error, OSError) as error:
        raise FailedError(
            "the metadata cannot be opened for writing",
            thing=f"{path} ({error})",
            remedy="check the disk and its owner",
        ) from None
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    # Loaded here: jobs and workers only read.
    from appliance.store.migrations.runner import migrate

    migrate(connection)


@functools.cache
def _new_database() -> bytes:
    """A database of this program's schema without content, as the bytes of its file.

    Every step is a transaction with its own wait for the disk; in memory there is none, and the file appears whole.
    """
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        add_functions(connection)
        _migrate(connection)
        return connection.serialize()


def blank_schema() -> tuple[list[str], list[tuple[str, tuple[Any, ...]]]]:
    """What another engine makes a new database of: the statements of this program's tables, indexes and triggers, in
    their order, and the rows that a new database has, each with its table."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.deserialize(_new_database())
        made = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT LIKE '\\_sqlite%'"
            " ESCAPE '\\' AND tbl_name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
        ).fetchall()
        rows = [
            (str(name), tuple(row))
            for kind, name, _ in made
            if kind == "table"
            for row in connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608  a table of the schema
        ]
        return [str(sql) for _, _, sql in made], rows


def in_memory() -> sqlite3.Connection:
    """A database of this program's schema without content, in memory; the caller closes it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(_new_database())
    return connection


def _give_to_owner(path: Path) -> None:
    """Give the database to the folder's owner; SQLite gives what it makes beside it to the database's. Raises OSError.

    Root alone opens it here: closing a descriptor of one's own would drop SQLite's locks of this process (fcntl(2)).
    """
    if os.geteuid() != 0 or path.stat().st_uid == path.parent.stat().st_uid:
        return
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        own_as_folder(descriptor, path.parent)
    finally:
        os.close(descriptor)


def open_file_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read; every statement sees what was committed before it began.

    May be handed between threads (SQLite is built serialised), not used by two at once. Raises FailedError.
    """
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=limits.SQLITE_BUSY,
        )
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT value FROM epoch")
        _require_not_moved(connection, path)
    except sqlite3.Error as error:
        raise FailedError(
            "the metadata cannot be read", thing=f"{path} ({error})", remedy="start the station once, or check the disk"
        ) from None
    return connection
