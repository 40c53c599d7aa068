"""The database's file as a whole: looked at where nothing may be made in its place, copied, and brought to rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from appliance.store import commits
from appliance.store.elsewhere import source_of
from appliance.store.engine import Source, engine_of
from appliance.store.errors import DamagedEngineError, EngineError
from appliance.store.placement import Placement
from appliance.store.ports import Connection, Reader
from bundles.errors import LockgateError
from bundles.io.display import some
from bundles.io.files import sync_folder

ANOTHER_COPY: Final = "the metadata is another copy than the one that was written last"
_OTHER_BYTES: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR_SHORT_READ})
"""No hiccup of a disk: a file that is no database, or shorter than what was written to it."""


@contextmanager
def looked_at(path: Path) -> Iterator[Reader]:
    """A reader of a file that may be no database of a station, or a damaged one: nothing in it is taken for granted.

    Raises UnavailableEngineError, DamagedEngineError (appliance.store.errors).
    """
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as reader:
        yield reader


def has_tables(reader: Reader) -> bool:
    """Whether a database was ever migrated."""
    return reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'epoch'").fetchone() is not None


def held_commits(path: Path) -> tuple[int, int]:
    """The commits that a database holds, and the mark of the last start that it knows; 0 for one of an earlier version,
    and for one elsewhere, which does not count them. Raises EngineError, FailedError."""
    source = source_of(path)
    if source is not None:
        with closing(source.open_reader()) as elsewhere:
            return 0, commits.last_mark(elsewhere)
    with closing(sqlite3.connect(path)) as reader:
        return commits.held(reader) or 0, commits.last_mark(reader)


def exchanged(path: Path) -> str:
    """Why a database is not the one that was written last, "" where it is, or where nothing can be said. By a
    connection of its own: what a longer one keeps in memory hides that other bytes were written over the file. Of a
    database elsewhere: whether it knows the last start. Blocking."""
    source = source_of(path)
    if source is not None:
        return _exchanged_elsewhere(path, source)
    try:
        promised, mark = commits.promised(path), commits.promised_mark(path)
        with looked_at(path) as reader:
            held = commits.held(reader)
            if held is not None and held < promised:
                return f"the metadata went back by {some(promised - held, 'commit')}"
            if not commits.knows(reader, mark):
                return ANOTHER_COPY
    except EngineError as error:
        if getattr(error, "sqlite_errorcode", 0) in _OTHER_BYTES:
            return f"the metadata has other bytes than were written ({error})"
    except OSError:
        return ""
    return ""


def _exchanged_elsewhere(path: Path, source: Source) -> str:
    """As `exchanged`. A server that is away says nothing: whoever reads or writes meets that itself."""
    try:
        mark = commits.promised_mark(path)
        with closing(source.open_reader()) as reader:
            return "" if commits.knows(reader, mark) else ANOTHER_COPY
    except (EngineError, LockgateError, OSError):
        return ""


def structure_of(reader: Reader) -> str:
    """`ok`, or the first damage in the structure of the database. Raises FailedError where that cannot be looked at."""
    try:
        if not isinstance(reader, sqlite3.Connection):
            return next(engine_of(reader).damage(reader, 1), "ok")
        return str(reader.execute("PRAGMA quick_check(1)").fetchone()[0])
    except DamagedEngineError as error:
        return str(error)


def copy_database(source: Path, target: Path) -> None:
    """Copy a database, its write-ahead log included, into a new file. Raises EngineError."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


class Snapshot:
    """A database as of one moment (`hold`), copied later while others go on writing it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def hold(self) -> None:
        """What is committed now is what will be copied. Raises EngineError."""
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def copy_to(self, target: Path) -> None:
        """Write it into a new file, which needs no other beside it. Raises EngineError."""
        with closing(sqlite3.connect(target)) as new:
            self._connection.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def snapshot_of(path: Path) -> Iterator[Snapshot]:
    """A database of which a moment is to be held. Raises EngineError."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield Snapshot(connection)


def write_back(path: Path) -> None:
    """Bring all of a database's write-ahead log into its file. Raises EngineError."""
    with closing(sqlite3.connect(path)) as db:
        write_log_back(db)


def write_log_back(db: Reader) -> None:
    """As `write_back`, by a connection that is open and in no transaction."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def come_to_rest(path: Path, promised: int, mark: int) -> int:
    """Make one file of a database that was made anew, which holds more commits then than itself and `promised`, and
    knows the `mark` of the last start; how many. Raises EngineError."""
    with closing(sqlite3.connect(path)) as db:
        value = max(promised, commits.held(db) or 0) + 1
        with db:
            commits.raise_to(db, value)
            commits.enter_mark(db, mark)
        db.execute("PRAGMA journal_mode = DELETE")
    return value


def save(db: Connection, placement: Placement, database: Path, at: str) -> Path:
    """Write what an open connection holds to where a next start finds it, after its files were deleted or exchanged:
    into the database, where only its write-ahead log went; to the database's name, where that is free; else beside
    it. Where it lies. Raises EngineError, OSError."""
    if placement.has_database:
        write_log_back(db)
        return database
    target = database.with_name(f"{database.name}.saved-{at}")
    assert isinstance(db, sqlite3.Connection)  # noqa: S101  a database elsewhere loses no files here (Placement)
    with closing(sqlite3.connect(target)) as new:
        db.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")
    target.chmod(0o600)
    if not placement.is_free:
        return target
    for suffix in ("-wal", "-shm"):  # they belong to the file that is gone
        database.with_name(f"{database.name}{suffix}").unlink(missing_ok=True)
    target.rename(database)
    sync_folder(database.parent)
    return database
