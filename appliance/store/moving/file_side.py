"""A database of SQLite as a side of a move: the station's file, and the one that is filled beside it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from appliance.limits import store as limits
from appliance.store.migrations.runner import identity, step_names
from appliance.store.moving.compare import Batches, Row
from appliance.store.moving.sides import BATCH
from appliance.store.moving.tables import Table, tables
from appliance.store.own_code import strange_code
from appliance.store.sqlite_file import MOVED, in_memory, require_not_moved
from appliance.store.whereabouts import Whereabouts
from bundles.errors import FailedError, RefusedError
from bundles.io.files import failures_named, sync_folder, write_atomic

_STATISTICS: Final = "sqlite\\_%"
_OWN: Final = frozenset({"_sqlite_migrations"})


def new_file(database: Path) -> Path:
    """The file that is filled, beside the station's database."""
    return database.with_name(f"{database.name}.moving")


class FileSource:
    """As `Source`."""

    def __init__(self, database: Path) -> None:
        """Raises FailedError."""
        self._path = database
        try:
            require_not_moved(database)
            self._reader = sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, isolation_level=None)
            self._reader.execute("SELECT value FROM epoch")
        except sqlite3.Error as error:
            raise FailedError(
                "the metadata cannot be read", thing=f"{database} ({error})", remedy="check the disk and its owner"
            ) from None

    def require_movable(self) -> None:
        """As Source.require_movable."""
        applied = self._reader.execute("SELECT name FROM _sqlite_migrations").fetchall()
        if {identity(name) for (name,) in applied} != {identity(name) for name in step_names()}:
            raise RefusedError(
                "the metadata has the schema of another version",
                thing=str(self._path),
                remedy="start the station once with this version, then move it",
            )
        names = self._reader.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE ? ESCAPE '\\'", (_STATISTICS,)
        ).fetchall()
        known = {one.name for one in tables()}
        strange = sorted({str(name) for (name,) in names} - known - _OWN) + strange_code(self._reader, in_memory)
        for table in tables():
            columns = self._reader.execute("SELECT name FROM pragma_table_info(?)", (table.name,)).fetchall()
            if {str(name) for (name,) in columns} != set(table.columns):
                strange.append(f"the columns of {table.name}")
        if strange:
            raise not_ours(strange, "take it out of the metadata, or start the station once, which puts triggers right")

    @contextmanager
    def moment(self) -> Iterator[None]:
        """As Source.moment."""
        self._reader.execute("BEGIN")
        try:
            yield
        finally:
            self._reader.execute("ROLLBACK")

    @contextmanager
    def held(self) -> Iterator[None]:
        """As Source.held."""
        with closing(_opened(self._path)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            yield
            writer.execute("ROLLBACK")

    def batches(self, table: Table) -> Batches:
        """As Source.batches."""
        return _batches(self._reader, table)

    def count(self, table: Table) -> int:
        """As Source.count."""
        return _number(self._reader, f'SELECT count(*) FROM "{table.name}"')  # noqa: S608  a table of the schema

    def numbers(self) -> Mapping[str, int]:
        """As Source.numbers."""
        found = {}
        for table in tables():
            if table.numbered:
                found[table.name] = _number(
                    self._reader,
                    f'SELECT max(coalesce((SELECT max({table.keyed}) FROM "{table.name}"), 0),'  # noqa: S608
                    " coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0))",
                    (table.name,),
                )
        return found

    def size(self) -> int:
        """As Source.size."""
        pages = _number(self._reader, "SELECT page_count FROM pragma_page_count()")
        return pages * _number(self._reader, "SELECT page_size FROM pragma_page_size()")

    def close(self) -> None:
        """As Source.close."""
        self._reader.close()


class FileTarget:
    """As `Target`: the file of a station whose database in PostgreSQL knows it as `station`."""

    def __init__(self, database: Path, station: str, at: str) -> None:
        self._database, self._station, self._at = database, station, at
        self._path = new_file(database)
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    def require_free(self) -> None:
        """As Target.require_free."""
        if self._path.exists():
            with closing(_opened(self._path)) as made:
                row = _whose(made)
            if row not in (self._station, None):
                raise RefusedError(
                    "the file of another move is in the way",
                    thing=str(self._path),
                    remedy=f"see whose it is, and take it away: rm {self._path}",
                )
        if self._database.exists() and not _is_moved(self._database):
            raise RefusedError(
                "a database is in its place that was not moved away",
                thing=str(self._database),
                remedy="see what it is, and take it out of the station's folder",
            )

    def prepare(self) -> None:
        """As Target.prepare."""
        self.require_free()
        with failures_named(self._path, "the new database cannot be made"):
            if not self._path.exists():
                write_atomic(self._path, _blank(self._station), 0o600, owned=True)
            self._writer = _opened(self._path)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            self._writer.execute(f"PRAGMA cache_size = -{limits.MOVED_PAGES // 1024}")
            _set_aside(self._writer, self._station)
            self._reader = _opened(self._path)

    def is_empty(self, table: Table) -> bool:
        """As Target.is_empty."""
        return self._ours.execute(f'SELECT 1 FROM "{table.name}" LIMIT 1').fetchone() is None  # noqa: S608

    def fill(self, table: Table, batches: Batches) -> None:
        """As Target.fill."""
        with self._transaction() as db:
            db.execute(f'DELETE FROM "{table.name}"')  # noqa: S608  a table of the schema
            for rows in batches:
                db.executemany(_insert(table), rows)

    def change(self, changes: Iterator[tuple[Table, list[Row], list[Row]]]) -> None:
        """As Target.change."""
        with self._transaction() as db:
            for table, gone, put in changes:
                where = " AND ".join(f'"{table.columns[place]}" = ?' for place in table.key)
                db.executemany(f'DELETE FROM "{table.name}" WHERE {where}', gone)  # noqa: S608
                db.executemany(_insert(table), put)

    @contextmanager
    def moment(self) -> Iterator[None]:
        """As Target.moment."""
        assert self._reader is not None  # noqa: S101  it was prepared
        self._reader.execute("BEGIN")
        try:
            yield
        finally:
            self._reader.execute("ROLLBACK")

    def batches(self, table: Table) -> Batches:
        """As Target.batches."""
        assert self._reader is not None  # noqa: S101  it was prepared
        return _batches(self._reader, table)

    def settle(self) -> None:
        """As Target.settle: what was written reaches the file."""
        self._ours.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def finish(self, numbers: Mapping[str, int]) -> None:
        """As Target.finish."""
        self._ours.execute("PRAGMA synchronous = FULL")
        with self._transaction() as db:
            db.execute("DELETE FROM sqlite_sequence")
            db.executemany(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)",
                [(one.name, numbers[one.name]) for one in tables() if one.never_again and numbers[one.name]],
            )
            with closing(in_memory()) as own:
                for (statement,) in own.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'"):
                    db.execute(statement)
            db.execute("DROP TABLE moving")
        self._let_go()
        with closing(_opened(self._path)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("PRAGMA journal_mode = DELETE")
        descriptor = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def place(self) -> None:
        """As Target.place. An older file that was moved away stays beside it."""
        if not self._path.exists():
            return
        if self._database.exists():
            kept = self._database.with_name(f"{self._database.name}.moved-{self._at.replace(':', '')}")
            self._database.rename(kept)
        for suffix in ("-wal", "-shm"):
            self._database.with_name(f"{self._database.name}{suffix}").unlink(missing_ok=True)
        self._path.rename(self._database)
        sync_folder(self._database.parent)

    def take_back(self) -> None:
        """Undo `place`, of a move that was cut off before the station knew of it."""
        if not self._path.exists() and self._database.exists() and not _is_moved(self._database):
            self._database.rename(self._path)
            sync_folder(self._database.parent)

    def whereabouts(self) -> Whereabouts | None:
        """As Target.whereabouts."""
        return None

    def abandon(self) -> None:
        """As Target.abandon."""
        self._let_go()
        for suffix in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(f"{self._path.name}{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        """As Target.close."""
        self._let_go()

    def _let_go(self) -> None:
        for one in (self._reader, self._writer):
            if one is not None:
                one.close()
        self._reader = self._writer = None

    @property
    def _ours(self) -> sqlite3.Connection:
        assert self._writer is not None  # noqa: S101  it was prepared
        return self._writer

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._ours
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def mark_file_moved(database: Path, place: str, at: str) -> None:
    """Say in a database that its metadata is at `place` since `at`: it is opened as a station's no more. Harmless
    twice. Raises EngineError."""
    if not database.exists():
        return
    with closing(_opened(database)) as writer, writer:
        writer.execute(f"CREATE TABLE IF NOT EXISTS {MOVED} (place TEXT NOT NULL, at TEXT NOT NULL) STRICT")
        writer.execute(
            f"INSERT INTO {MOVED} (place, at) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM {MOVED})",  # noqa: S608
            (place, at),
        )


def not_ours(names: list[str], remedy: str) -> RefusedError:
    """For a database that holds what this program's schema does not: it would be lost."""
    return RefusedError(
        "the metadata holds what is not this version's, and would be lost",
        thing=", ".join(names)[:200].encode("ascii", "backslashreplace").decode(),
        remedy=remedy,
    )


def _batches(reader: sqlite3.Connection, table: Table) -> Batches:
    cursor = reader.execute(f'SELECT {table.listed} FROM "{table.name}" ORDER BY {table.keyed}')  # noqa: S608
    while rows := cursor.fetchmany(BATCH):
        yield rows


def _number(reader: sqlite3.Connection, statement: str, parameters: tuple[Any, ...] = ()) -> int:
    return int(reader.execute(statement, parameters).fetchone()[0])


def _insert(table: Table) -> str:
    marks = ", ".join("?" * len(table.columns))
    return f'INSERT INTO "{table.name}" ({table.listed}) VALUES ({marks})'  # noqa: S608  a table of the schema


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=limits.SQLITE_BUSY)


def _is_moved(path: Path) -> bool:
    with closing(_opened(path)) as reader:
        return reader.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (MOVED,)).fetchone() is not None


def _whose(made: sqlite3.Connection) -> str | None:
    """The station whose move fills a file; None for one that was filled, and is in no place yet."""
    if made.execute("SELECT 1 FROM sqlite_master WHERE name = 'moving'").fetchone() is None:
        return None
    return str(made.execute("SELECT station FROM moving").fetchone()[0])


def _set_aside(db: sqlite3.Connection, station: str) -> None:
    """Without triggers: they refuse what is only brought back."""
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f'DROP TRIGGER "{name}"')
    if _whose(db) is None:
        db.execute("CREATE TABLE moving (station TEXT NOT NULL) STRICT")
        db.execute("INSERT INTO moving (station) VALUES (?)", (station,))


def _blank(station: str) -> bytes:
    """A database of this program's schema without a row, and without triggers."""
    with closing(in_memory()) as db:
        _set_aside(db, station)
        for table in tables():
            db.execute(f'DELETE FROM "{table.name}"')  # noqa: S608  a table of the schema
        db.execute("DELETE FROM sqlite_sequence")
        return db.serialize()
