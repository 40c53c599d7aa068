"""PostgreSQL as an engine of the metadata: what must be true of a server and a database, and what no statement says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from appliance.store.database import blank_schema
from appliance.store.errors import EngineError
from appliance.store.migrations.runner import find_newer, identity, step_names, step_of
from appliance.store.ports import Connection, Reader
from appliance.store.postgres.connection import PostgresConnection
from appliance.store.postgres.functions import FUNCTIONS
from appliance.store.postgres.schema import define
from bundles.errors import FailedError

_OLDEST: Final = 150000
_LOCK: Final = 0x6C6F636B67617465
"""Of the advisory lock that migrations take: "lockgate" in ASCII."""
_DURABLE: Final = ("fsync", "full_page_writes")
_OWN: Final = (
    "CREATE TABLE steps (name text PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())",
    # One row a transaction: how a commit whose answer was lost is found again.
    "CREATE TABLE written (writer text NOT NULL, number bigint NOT NULL, at timestamptz NOT NULL DEFAULT now(),"
    " PRIMARY KEY (writer, number))",
)
"""Tables that this engine has for itself."""


class PostgresEngine:
    """As `Engine` and `Source`, for the database that `conninfo` names (libpq: a URL, or `key=value` words).

    A password comes from the file that `passfile` names, never from a command's arguments.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def open_writer(self) -> PostgresConnection:
        """As Source.open_writer: migrated, and its transactions are SERIALIZABLE. Raises FailedError."""
        made = self._open(writes=True)
        try:
            _require(made)
            _migrate(made)
        except EngineError as error:
            made.close()
            raise _refused("opened for writing", error) from None
        except FailedError:
            made.close()
            raise
        return made

    def open_reader(self) -> PostgresConnection:
        """As Source.open_reader: it only reads, and comes back by itself when the server does. Raises FailedError."""
        made = self._open(writes=False)
        try:
            made.execute("SELECT value FROM epoch")
        except EngineError as error:
            made.close()
            raise _refused("read", error) from None
        return made

    def _open(self, *, writes: bool) -> PostgresConnection:
        try:
            return PostgresConnection(self._conninfo, self, writes=writes)
        except EngineError as error:
            raise _refused("reached", error) from None

    def revision(self, reader: Reader) -> int:
        """As Engine.revision: a hash of which transactions a statement sees. The newest number alone would stay
        the same where a transaction ends behind a younger one. What other databases write changes it, too."""
        return int(reader.execute("SELECT hashtextextended(CAST(pg_current_snapshot() AS text), 0)").fetchone()[0])

    def keep_pages(self, reader: Reader, most: int) -> None:
        """As Engine.keep_pages: the server has one cache for all."""

    def damage(self, reader: Reader, most: int) -> Iterator[str]:
        """As Engine.damage, by the extension amcheck: every index that is a tree, each row of its table looked up."""
        if reader.execute("SELECT 1 FROM pg_extension WHERE extname = 'amcheck'").fetchone() is None:
            raise FailedError(
                "the indexes in PostgreSQL cannot be checked: the extension amcheck is missing",
                thing="CREATE EXTENSION amcheck",
                remedy="have the database's administrator create it; it comes with PostgreSQL",
            )
        indexes = reader.execute(
            "SELECT c.oid, c.relname, quote_ident(e.nspname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'lockgate'"
            " JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree'"
            " JOIN pg_extension x ON x.extname = 'amcheck' JOIN pg_namespace e ON e.oid = x.extnamespace"
            " WHERE c.relkind = 'i' ORDER BY c.relname"
        ).fetchall()
        found = 0
        for number, name, schema in indexes:
            try:
                reader.execute(f"SELECT {schema}.bt_index_check(CAST({number} AS oid), true)")
            except EngineError as error:
                if not getattr(error, "is_damage", False):
                    raise
                yield f"index {name}: {error}"
                found += 1
                if found == most:
                    return

    def orphans(self, reader: Reader, most: int) -> list[tuple[str, str]]:
        """As Engine.orphans: the server keeps its keys; one that it was told not to hold the rows to is named."""
        rows = reader.execute(
            "SELECT c.conrelid::regclass::text, c.confrelid::regclass::text FROM pg_constraint c"
            " JOIN pg_namespace n ON n.oid = c.connamespace AND n.nspname = 'lockgate'"
            " WHERE c.contype = 'f' AND NOT c.convalidated ORDER BY 1, 2 LIMIT ?",
            (most,),
        )
        return [(str(table), str(other)) for table, other in rows]

    @contextmanager
    def without_triggers(self, db: Connection, table: str) -> Iterator[None]:
        """As Engine.without_triggers."""
        db.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        db.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def counts_commits(self) -> bool:
        """As Engine.counts_commits: the server keeps its own files."""
        return False

    def file_of(self, db: Reader) -> Path | None:
        """As Engine.file_of."""
        return None


def _refused(what: str, error: Any) -> FailedError:
    return FailedError(
        f"the metadata in PostgreSQL cannot be {what}",
        thing=str(error)[:300],
        remedy="see that the server runs and lets the station in, then try again",
    )


def _require(db: PostgresConnection) -> None:
    """Raises FailedError for a server or database on which an answer could be wrong, or a write be lost."""
    if db.server < _OLDEST:
        raise FailedError(
            "the PostgreSQL server is too old",
            thing=f"{db.server // 10000}",
            remedy=f"use version {_OLDEST // 10000} or a newer one",
        )
    encoding, collation, letters = db.run(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    if encoding != "UTF8" or collation not in ("C", "POSIX") or letters not in ("C", "POSIX"):
        raise FailedError(
            "the database in PostgreSQL orders texts in another way than the station",
            thing=f"encoding {encoding}, collation {collation}, letters {letters}",
            remedy="make another one: createdb --template=template0 --encoding=UTF8 --locale=C NAME",
        )
    for setting in _DURABLE:
        if db.run("SELECT current_setting($1)", (setting,)).fetchone()[0] != "on":
            raise FailedError(
                "the PostgreSQL server may lose what it has confirmed",
                thing=f"{setting} is off",
                remedy=f"set {setting} = on in postgresql.conf and restart the server",
            )


def _migrate(db: PostgresConnection) -> None:
    """Bring the database to this program's schema. Two that start at once take turns. Raises FailedError."""
    db.run("SELECT pg_advisory_lock($1)", (_LOCK,))
    try:
        db.run("CREATE SCHEMA IF NOT EXISTS lockgate")
        is_new = db.run("SELECT to_regclass('lockgate.steps')").fetchone()[0] is None
        recorded = set() if is_new else {name for (name,) in db.run("SELECT name FROM steps")}
        newer = find_newer(recorded)
        if newer is not None:
            raise newer
        for statement in FUNCTIONS:
            db.run(statement)
        if is_new:
            _begin(db)
        applied = {identity(name) for name in recorded}
        for name in step_names() if not is_new else ():
            if identity(name) not in applied:
                _apply(db, name)
    finally:
        db.run("SELECT pg_advisory_unlock($1)", (_LOCK,))


def _begin(db: PostgresConnection) -> None:
    """The schema of a new database, from SQLite's own, in one transaction."""
    statements, rows = blank_schema()
    with _transaction(db):
        for statement in _OWN:
            db.run(statement)
        for statement in statements:
            for part in define(statement):
                db.run(part)
        for table, values in rows:
            marks = ", ".join("?" * len(values))
            db.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608  a table of the schema
        db.executemany("INSERT INTO steps (name) VALUES (?)", [(name,) for name in step_names()])


class _Step:
    """What a step of the migrations gets: it runs its statements, in PostgreSQL's words."""

    def __init__(self, db: PostgresConnection) -> None:
        self._db = db

    def execute(self, statement: str) -> None:
        for part in define(statement):
            self._db.run(part)


def _apply(db: PostgresConnection, name: str) -> None:
    with _transaction(db):
        step_of(name)(_Step(db))
        db.execute("INSERT INTO steps (name) VALUES (?)", (name,))


@contextmanager
def _transaction(db: PostgresConnection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.run("ROLLBACK")
        raise
    db.run("COMMIT")
