"""PostgreSQL as an engine of the metadata: what must be true of a server and a database, and what no statement says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from appliance.limits import store as limits
from appliance.store.errors import ConflictEngineError, EngineError, UnavailableEngineError
from appliance.store.migrations.runner import find_newer, identity, step_names, step_of
from appliance.store.ports import Connection, Reader
from appliance.store.postgres.connection import PostgresConnection, answers
from appliance.store.postgres.faults import PostgresRefusedError, is_missing
from appliance.store.postgres.functions import FUNCTIONS
from appliance.store.postgres.refusals import another, another_writes, cannot_be, moved_away, require, require_checkable
from appliance.store.postgres.schema import define, trigger_names
from appliance.store.sqlite_file import blank_schema
from appliance.store.whereabouts import Whereabouts
from bundles.errors import FailedError

_LOCK: Final = 0x6C6F636B67617465
"""Of the advisory lock that migrations take: "lockgate" in ASCII."""
_WRITER: Final = _LOCK + 1
"""Of the advisory lock that the one writer of a station holds."""
_LOOK: Final = 0.05
"""Seconds between two looks at a lock that another one holds."""
Run = Callable[[str, Sequence[Any]], Any]
"""Runs a statement in PostgreSQL's own words, with its parameters."""
_OWN: Final = (
    "CREATE TABLE steps (name text PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())",
    # One row a transaction: how a commit whose answer was lost is found again.
    "CREATE TABLE written (writer text NOT NULL, number bigint NOT NULL, at timestamptz NOT NULL DEFAULT now(),"
    " PRIMARY KEY (writer, number))",
    # Whose database this is: one row.
    "CREATE TABLE station (one bigint PRIMARY KEY CHECK (one = 1), id text NOT NULL, site text NOT NULL)",
)
"""Tables that this engine has for itself."""


class PostgresEar:
    """As `Ear`."""

    def __init__(self, db: PostgresConnection) -> None:
        self._db = db
        db.listen()

    def ask(self) -> tuple[int, int]:
        """As Ear.ask."""
        epoch, snapshot = self._db.run(
            "SELECT (SELECT value FROM epoch), hashtextextended(CAST(pg_current_snapshot() AS text), 0)"
        ).fetchone()
        return -1 if epoch is None else int(epoch), int(snapshot)

    def wait(self, seconds: float) -> None:
        """As Ear.wait."""
        self._db.wait(seconds)

    def close(self) -> None:
        """As Ear.close."""
        self._db.close()


class PostgresEngine:
    """As `Engine` and `Source`, for the database that `conninfo` names (libpq: a URL, or `key=value` words).

    With `station`, the database must be that station's, on each connection: another one is refused. `password` is kept
    in memory; without one, libpq's own means count (a passfile, a certificate, the system account of a Unix socket).
    """

    def __init__(
        self,
        conninfo: str,
        station: Whereabouts | None = None,
        *,
        password: str = "",
        is_heard: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_heard`: whether this process hears of the server just now; True where it does not listen."""
        self._conninfo, self._station, self._password = conninfo, station, password
        self._is_heard = is_heard
        self._probed = 0.0

    def open_writer(self) -> PostgresConnection:
        """As Source.open_writer: migrated, and its transactions are SERIALIZABLE. One writer of a station at a time:
        it holds an advisory lock for as long as it is connected. Raises FailedError."""
        made = self._open(writes=True)
        try:
            require(made)
            migrate(made)
            require_own_triggers(made)
        except EngineError as error:
            made.close()
            raise cannot_be("opened for writing", error) from None
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
            raise cannot_be("read", error) from None
        return made

    def open_ear(self) -> PostgresEar:
        """A connection that listens for commits (appliance.store.heard). Raises EngineError, FailedError."""
        return PostgresEar(self._open(writes=False))

    def open_apart(self) -> PostgresConnection:
        """A connection that may write and is no station's writer, for who moves the metadata. Raises FailedError."""
        apart = PostgresEngine(self._conninfo, password=self._password)
        return apart._open(writes=True)

    def _open(self, *, writes: bool) -> PostgresConnection:
        try:
            return PostgresConnection(self._conninfo, self, writes=writes, password=self._password)
        except EngineError as error:
            raise cannot_be("reached", error) from None

    def is_silent(self, waited: float) -> bool:
        """Whether a server that was waited for is to be given up. A thread with an event loop is not held for longer
        than what was heard of the server counts; any other one asks by a connection of its own: a statement may take
        long while the server is well."""
        if waited < limits.POSTGRES_SILENCE_LOOP:
            return False
        if _holds_a_loop():
            return waited > limits.POSTGRES_LOOP or not self._is_heard()
        if waited < limits.POSTGRES_SILENCE or time.monotonic() - self._probed < limits.POSTGRES_SILENCE:
            return False
        self._probed = time.monotonic()
        return not answers(self._conninfo, self._password)

    def may_connect(self) -> bool:
        """Whether a connection is worth waiting for: no event loop waits for a server that is not heard."""
        return not _holds_a_loop() or self._is_heard()

    def admit(self, run: Run, *, writes: bool) -> None:
        """Go on with a new connection only where its database is the station's, and where nobody else writes to it.
        Raises EngineError."""
        if self._station is None:
            return
        try:
            row = run("SELECT id, site FROM lockgate.station", ()).fetchone()
        except UnavailableEngineError as error:
            if not is_missing(error):
                raise
            row = None
        if row != (self._station.station, self._station.site):
            raise PostgresRefusedError(_gone(run) or another(row))
        if not writes:
            return
        deadline = time.monotonic() + limits.POSTGRES_TURN
        while not run("SELECT pg_try_advisory_lock($1)", (_WRITER,)).fetchone()[0]:
            if time.monotonic() > deadline:
                raise PostgresRefusedError(another_writes())
            time.sleep(_LOOK)

    def require_free(self) -> None:
        """Go on only with a database that can be a new station's. Raises FailedError."""
        made = self._open(writes=True)
        try:
            require(made)
            require_checkable(made)
            _require_no_station(made)
        except EngineError as error:
            raise cannot_be("opened for writing", error) from None
        finally:
            made.close()

    def claim(self, where: Whereabouts) -> None:
        """Make the schema in a database, and make it this station's. Raises FailedError where it is another one's."""
        made = self.open_writer()
        try:
            _require_no_station(made)
            with transaction(made):
                made.execute(
                    "INSERT INTO station (one, id, site) VALUES (1, ?, ?)",
                    (where.station, where.site),
                )
        except ConflictEngineError:
            _require_no_station(made)
            raise
        except EngineError as error:
            raise cannot_be("written", error) from None
        finally:
            made.close()

    def let_go(self, where: Whereabouts) -> None:
        """Take the schema of a station away again that was not made in the end. Raises FailedError."""
        made = self._open(writes=True)
        try:
            row = made.run("SELECT id FROM station").fetchone()
            if row == (where.station,):
                made.run("DROP SCHEMA lockgate CASCADE")
        except EngineError as error:
            raise cannot_be("written", error) from None
        finally:
            made.close()

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


def _holds_a_loop() -> bool:
    """Whether an event loop runs in this thread, and stands while something is waited for."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _require_no_station(db: PostgresConnection) -> None:
    """Raises FailedError naming the station whose database it is."""
    if db.run("SELECT to_regclass('lockgate.station')").fetchone()[0] is None:
        return
    row = db.run("SELECT id, site FROM station").fetchone()
    if row is not None:
        raise another(row)
    if (gone := _gone(db.run)) is not None:
        raise gone
    if db.run("SELECT to_regclass('lockgate.moving')").fetchone()[0] is not None:
        raise another(db.run("SELECT station, site FROM moving").fetchone())


def _gone(run: Run) -> FailedError | None:
    """Where the metadata went that a database had, None where that is not so."""
    if run("SELECT to_regclass('lockgate.moved')", ()).fetchone()[0] is None:
        return None
    return moved_away(run("SELECT site, place, at FROM lockgate.moved LIMIT 1", ()).fetchone())


def require_own_triggers(db: PostgresConnection) -> None:
    """Go on only where the triggers and rules of the tables are this program's own, and stand: one more of them could
    let a block or a revocation pass without effect. Raises FailedError naming one."""
    found = db.run(
        "SELECT t.tgname, t.tgenabled = 'O' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'lockgate' WHERE NOT t.tgisinternal"
        " UNION ALL SELECT r.rulename, false FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class"
        " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'lockgate'"
        " UNION ALL SELECT p.polname, false FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'lockgate'"
    ).fetchall()
    own = trigger_names(blank_schema()[0])
    standing = {str(name) for name, stands in found if stands}
    if standing == own and len(found) == len(own):
        return
    foreign = sorted({str(name) for name, stands in found if not stands or name not in own} | (own - standing))
    raise FailedError(
        "the database holds a trigger, rule or policy that is not this version's, or lacks one of its own",
        thing=", ".join(foreign)[:200],
        remedy="see who may change the schema lockgate, and restore the database from its own backup",
    )


def migrate(db: PostgresConnection) -> None:
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
    with transaction(db):
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
    with transaction(db):
        step_of(name)(_Step(db))
        db.execute("INSERT INTO steps (name) VALUES (?)", (name,))


@contextmanager
def transaction(db: PostgresConnection) -> Iterator[PostgresConnection]:
    """A transaction, rolled back where it fails."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        if db.in_transaction:
            db.run("ROLLBACK")
        raise
    db.run("COMMIT")
