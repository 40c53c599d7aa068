"""A database in PostgreSQL as a side of a move (appliance.store.moving).

What is filled has no row in `station` until it is finished: no station opens it. Its triggers are switched off, and the
keys that hold tables to each other are set aside while tables are filled one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from appliance.store.errors import ConflictEngineError, EngineError
from appliance.store.migrations.runner import identity, step_names
from appliance.store.moving.compare import Batches, Row
from appliance.store.moving.file_side import not_ours
from appliance.store.moving.sides import BATCH
from appliance.store.moving.tables import Table, tables
from appliance.store.postgres.connection import PostgresConnection
from appliance.store.postgres.engine import PostgresEngine, migrate, require_own_triggers, transaction
from appliance.store.postgres.refusals import cannot_be, moved_away, require, require_checkable
from appliance.store.whereabouts import Whereabouts
from bundles.errors import FailedError, RefusedError

_OWN: Final = frozenset({"steps", "written", "station"})
_FENCE: Final = "LOCK TABLE lockgate.written IN SHARE MODE"
"""Every transaction of a writer adds a row there before its commit."""
_KEYS: Final = (
    "SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c"
    " JOIN pg_namespace n ON n.oid = c.connamespace AND n.nspname = 'lockgate' WHERE c.contype = 'f'"
)


class PostgresSource:
    """As `Source`. `engine` admits the station's own database alone."""

    def __init__(self, engine: PostgresEngine) -> None:
        """Raises FailedError."""
        self._engine = engine
        self._reader = engine.open_reader()

    def require_movable(self) -> None:
        """As Source.require_movable."""
        applied = {identity(name) for (name,) in self._reader.run("SELECT name FROM lockgate.steps")}
        if applied != {identity(name) for name in step_names()}:
            raise RefusedError(
                "the metadata has the schema of another version",
                thing="lockgate.steps",
                remedy="start the station once with this version, then move it",
            )
        columns: dict[str, set[str]] = {}
        for table, column in self._reader.run(
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'lockgate'"
        ).fetchall():
            columns.setdefault(table, set()).add(column)
        known = {one.name: set(one.columns) for one in tables()}
        strange = sorted(columns.keys() - known.keys() - _OWN)
        strange += [f"the columns of {name}" for name in known if columns.get(name) != known[name]]
        if strange:
            raise not_ours(strange, "take it out of the schema lockgate")
        require_own_triggers(self._reader)

    @contextmanager
    def moment(self) -> Iterator[None]:
        """As Source.moment."""
        with _moment(self._reader):
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """As Source.held."""
        fence = self._engine.open_apart()
        try:
            fence.run("BEGIN")
            fence.run(_FENCE)
            yield
        finally:
            if fence.in_transaction:
                fence.run("ROLLBACK")
            fence.close()

    def batches(self, table: Table) -> Batches:
        """As Source.batches."""
        return _batches(self._reader, table)

    def count(self, table: Table) -> int:
        """As Source.count."""
        return int(self._reader.run(f'SELECT count(*) FROM lockgate."{table.name}"').fetchone()[0])  # noqa: S608

    def numbers(self) -> Mapping[str, int]:
        """As Source.numbers."""
        found = {}
        for table in tables():
            if table.numbered:
                given, most = self._reader.run(
                    "SELECT pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass),"  # noqa: S608
                    f' (SELECT max({table.keyed}) FROM lockgate."{table.name}")',
                    (f"lockgate.{table.name}", table.columns[table.key[0]]),
                ).fetchone()
                found[table.name] = max(given or 0, most or 0)
        return found

    def size(self) -> int:
        """As Source.size."""
        row = self._reader.run(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace AND n.nspname = 'lockgate' WHERE c.relkind = 'r'"
        ).fetchone()
        return int(row[0])

    def close(self) -> None:
        """As Source.close."""
        self._reader.close()


class PostgresTarget:
    """As `Target`. `engine` admits whatever database is there; `where` is the note that is to name it."""

    def __init__(self, engine: PostgresEngine, where: Whereabouts) -> None:
        """Raises FailedError."""
        self._engine, self._where = engine, where
        self._db = engine.open_apart()
        self._reader: PostgresConnection | None = None

    def require_free(self) -> None:
        """As Target.require_free."""
        require(self._db)
        require_checkable(self._db)
        if not self._has("steps"):
            return
        if self._has("moved"):
            raise moved_away(self._db.run("SELECT site, place, at FROM lockgate.moved LIMIT 1").fetchone())
        ours, others = (self._where.station, self._where.site), "another station's"
        for name, found in (("moving", "SELECT station, site"), ("station", "SELECT id, site")):
            row = self._db.run(f"{found} FROM lockgate.{name}").fetchone() if self._has(name) else None
            if row == ours:
                return
            if row is not None:
                raise _not_empty(f"it is {others}, of site {str(row[1])[:40]}")
        for table in tables():
            name = f'lockgate."{table.name}"'
            held = self._db.run("SELECT to_regclass($1)", (name,)).fetchone()[0] is not None
            given = 1 if table.name in ("epoch", "commits") else 0
            if held and self._db.run(f"SELECT count(*) FROM {name}").fetchone()[0] > given:  # noqa: S608
                raise _not_empty(f"{table.name} has rows")

    def prepare(self) -> None:
        """As Target.prepare."""
        self.require_free()
        migrate(self._db)
        with transaction(self._db) as db:
            db.run(
                "CREATE TABLE IF NOT EXISTS moving (one bigint PRIMARY KEY CHECK (one = 1), station text, site text)"
            )
            db.run("CREATE TABLE IF NOT EXISTS moving_keys (relation text, name text PRIMARY KEY, definition text)")
            db.run("DELETE FROM station")
            db.run(
                "INSERT INTO moving VALUES (1, $1, $2) ON CONFLICT DO NOTHING", (self._where.station, self._where.site)
            )
            for relation, name, definition in db.run(_KEYS).fetchall():
                plain = definition.removesuffix(" DEFERRABLE INITIALLY DEFERRED")
                db.run("INSERT INTO moving_keys VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", (relation, name, plain))
                db.run(f'ALTER TABLE {relation} DROP CONSTRAINT "{name}"')
            for table in tables():
                db.run(f'ALTER TABLE "{table.name}" DISABLE TRIGGER USER')
        self._reader = self._engine.open_apart()

    def is_empty(self, table: Table) -> bool:
        """As Target.is_empty."""
        return self._db.run(f'SELECT 1 FROM "{table.name}" LIMIT 1').fetchone() is None  # noqa: S608

    def fill(self, table: Table, batches: Batches) -> None:
        """As Target.fill."""
        with transaction(self._db) as db:
            # A table that others refer to is not truncated.
            db.run(f'DELETE FROM "{table.name}"' if self._has_keys() else f'TRUNCATE "{table.name}"')  # noqa: S608
            self._put(table, (row for rows in batches for row in rows))

    def change(self, changes: Iterator[tuple[Table, list[Row], list[Row]]]) -> None:
        """As Target.change."""
        with transaction(self._db) as db:
            for table, gone, put in changes:
                where = " AND ".join(
                    f'"{table.columns[place]}" = ${number}' for number, place in enumerate(table.key, 1)
                )
                for key in gone:
                    db.run(f'DELETE FROM "{table.name}" WHERE {where}', key)  # noqa: S608  a table of the schema
                self._put(table, iter(put))

    def _put(self, table: Table, rows: Iterator[Row]) -> None:
        try:
            self._db.copy_in(f'COPY "{table.name}" ({table.listed}) FROM STDIN', rows)
        except ConflictEngineError:
            raise
        except EngineError as error:
            if getattr(error, "is_away", False):
                raise
            raise RefusedError(
                "a row cannot be kept in PostgreSQL, and would be lost",
                thing=f"{table.name}: {str(error)[:160]}",
                remedy="see what the check of the metadata says of that table: lockgate scrub",
            ) from None

    @contextmanager
    def moment(self) -> Iterator[None]:
        """As Target.moment."""
        assert self._reader is not None  # noqa: S101  it was prepared
        with _moment(self._reader):
            yield

    def batches(self, table: Table) -> Batches:
        """As Target.batches."""
        assert self._reader is not None  # noqa: S101  it was prepared
        return _batches(self._reader, table)

    def settle(self) -> None:
        """As Target.settle: the keys between tables hold again, looked at as each transaction ends; the server learns
        how many rows there are."""
        with transaction(self._db) as db:
            standing = {name for _, name, _ in db.run(_KEYS).fetchall()}
            for relation, name, definition in db.run("SELECT relation, name, definition FROM moving_keys").fetchall():
                if name not in standing:
                    db.run(f'ALTER TABLE {relation} ADD CONSTRAINT "{name}" {definition} DEFERRABLE INITIALLY DEFERRED')
        for table in tables():
            self._db.run(f'ANALYZE "{table.name}"')

    def finish(self, numbers: Mapping[str, int]) -> None:
        """As Target.finish."""
        with transaction(self._db) as db:
            for table in tables():
                last = numbers.get(table.name, 0)
                if table.numbered:
                    db.run(
                        "SELECT setval(pg_get_serial_sequence($1, $2)::regclass, $3, $4 > 0)",
                        (f"lockgate.{table.name}", table.columns[table.key[0]], max(last, 1), last),
                    )
                db.run(f'ALTER TABLE "{table.name}" ENABLE TRIGGER USER')
            for relation, name, _ in db.run(_KEYS).fetchall():
                db.run(f'ALTER TABLE {relation} ALTER CONSTRAINT "{name}" NOT DEFERRABLE')
            db.run("DROP TABLE moving, moving_keys")
            db.run("INSERT INTO station (one, id, site) VALUES (1, $1, $2)", (self._where.station, self._where.site))
        require_own_triggers(self._db)

    def place(self) -> None:
        """As Target.place: it is where it was made."""

    def whereabouts(self) -> Whereabouts | None:
        """As Target.whereabouts."""
        return self._where

    def abandon(self) -> None:
        """As Target.abandon."""
        self.require_free()
        if self._has("moving") or self._has("station"):
            self._db.run("DROP SCHEMA IF EXISTS lockgate CASCADE")

    def close(self) -> None:
        """As Target.close."""
        self._db.close()
        if self._reader is not None:
            self._reader.close()

    def _has(self, name: str) -> bool:
        return self._db.run("SELECT to_regclass($1)", (f"lockgate.{name}",)).fetchone()[0] is not None

    def _has_keys(self) -> bool:
        return self._db.run(f"{_KEYS} LIMIT 1").fetchone() is not None


def mark_database_moved(engine: PostgresEngine, where: Whereabouts, place: str, at: str) -> None:
    """As `mark_file_moved`, of the station's own database. Raises FailedError."""
    db = engine.open_apart()
    try:
        with transaction(db):
            db.run("CREATE TABLE IF NOT EXISTS moved (station text, site text, place text, at text)")
            own = (where.station, where.site)
            found = db.run("DELETE FROM station WHERE id = $1 AND site = $2 RETURNING id", own).fetchone()
            if found is not None:
                db.run("INSERT INTO moved VALUES ($1, $2, $3, $4)", (*own, place, at))
    except EngineError as error:
        raise cannot_be("written", error) from None
    finally:
        db.close()


def _not_empty(why: str) -> FailedError:
    return FailedError(
        "the database in PostgreSQL is not empty",
        thing=why,
        remedy="name an empty one: createdb --template=template0 --encoding=UTF8 --locale=C --owner=ACCOUNT NAME",
    )


@contextmanager
def _moment(reader: PostgresConnection) -> Iterator[None]:
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        if reader.in_transaction:
            reader.run("ROLLBACK")


def _batches(reader: PostgresConnection, table: Table) -> Batches:
    """By a cursor of the server's, so that no more than a batch is in memory."""
    name = f"moved_{table.name}"
    reader.run(
        f'DECLARE "{name}" NO SCROLL CURSOR FOR SELECT {table.listed} FROM lockgate."{table.name}"'  # noqa: S608
        f" ORDER BY {table.keyed}"
    )
    rows: list[Any] = reader.run(f'FETCH {BATCH} FROM "{name}"').fetchall()
    while rows:
        yield rows
        rows = reader.run(f'FETCH {BATCH} FROM "{name}"').fetchall()
    reader.run(f'CLOSE "{name}"')
