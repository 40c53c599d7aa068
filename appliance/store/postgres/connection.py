"""A connection to PostgreSQL as the store's ports take it. The only module that imports psycopg.

A statement is translated (`dialect`) and prepared by the server. A connection that was lost is made anew where nothing
is lost with it: before a statement that only reads, and before a transaction. In a transaction it is an error, and the
transaction never happened. A COMMIT whose answer is lost is asked about afterwards: every transaction leaves a row of
its own in `written`, and whoever inserts that row again waits for the first one to end, and finds it or does not.
"""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Self

import psycopg
from psycopg.adapt import Loader
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from appliance.limits import store as limits
from appliance.store.postgres.dialect import translate
from appliance.store.postgres.faults import (
    PostgresConflictError,
    PostgresDamagedError,
    PostgresError,
    PostgresRefusedError,
    fault,
)
from appliance.store.postgres.faults import PostgresLostCommitError as LostCommitError
from appliance.store.postgres.refusals import went_back

_OPEN: Final = frozenset({TransactionStatus.ACTIVE, TransactionStatus.INTRANS, TransactionStatus.INERROR})
_ABORTED: Final = "25P02"
_CHANNEL: Final = "lockgate"
"""Of the notifications that tell of a commit."""
_TELL: Final = "INSERT INTO written (writer, number) SELECT $1, $2 FROM pg_notify('lockgate', '')"
_RETRY: Final = 0.05
"""Seconds between two attempts to reach a server that is not there."""
_KEPT: Final = 256
"""Rows of `written` that a connection leaves until it takes its own older ones away."""


_WAKES: Final = 0.1
"""Seconds between two looks at an answer that does not come."""
_SOON: Final[dict[str, Any]] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
"""A server of another machine that is gone without a word is noticed within seconds (libpq, 34.1.2)."""


class _BoolDumper(Int8Dumper):
    """A condition of Python is 0 or 1 in a column, as on SQLite."""

    def dump(self, value: Any) -> Any:
        return b"1" if value else b"0"


class _BoolLoader(Loader):
    def load(self, data: Any) -> int:
        return int(bytes(data) == b"t")


class _NumberLoader(Loader):
    """The sum of numbers is a `numeric`, and a whole number here: no column has another kind."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


class _Watched(psycopg.Connection[Any]):
    """A connection that gives up a server which answers nothing, and is not gone either (SIGSTOP, a disk that hangs).

    psycopg wakes ten times a second while it waits; each time it is looked whether that is for too long.
    """

    given_up: Callable[[float], bool] | None = None
    """Whether to give up, asked with the seconds that were waited; the engine's `is_silent`."""

    def wait(self, gen: Any, interval: float = _WAKES, timeout: float | None = None) -> Any:
        """As psycopg's."""
        return super().wait(self._watched(gen), interval=interval, timeout=timeout)

    def _watched(self, gen: Any) -> Any:
        try:
            wants, since = next(gen), time.monotonic()
            while True:
                ready = yield wants
                waited = time.monotonic() - since
                if ready:
                    since = time.monotonic()
                elif self.given_up is not None and self.given_up(waited):
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server did not answer within {waited:.0f} s")
                wants = gen.send(ready)
        except StopIteration as end:
            return end.value


class _Value:
    """A large text of one row. Its length is asked first, so that nothing too large is read."""

    def __init__(self, length: int, read: Callable[[], bytes]) -> None:
        self._length, self._read = length, read

    def read(self, length: int = -1, /) -> bytes:
        data = self._read()
        return data if length < 0 else data[:length]

    def __len__(self) -> int:
        return self._length

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class PostgresConnection:
    """A connection for one thread at a time; `engine` says what no statement can.

    Every method raises `appliance.store.errors.EngineError`.
    """

    def __init__(self, conninfo: str, engine: Any, *, writes: bool, password: str = "") -> None:
        """Raises EngineError where the server cannot be reached, or the engine admits no connection to its database."""
        self.engine = engine
        self._conninfo, self._writes = conninfo, writes
        self._further: dict[str, Any] = {**_SOON, "password": password} if password else _SOON
        self._handler: Callable[[], bool | None] | None = None
        self._repeat: PostgresError | None = None
        self._writer, self._number, self._confirmed = secrets.token_hex(16), 0, 0
        self._connection = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        if not self.engine.may_connect():
            raise PostgresError("the server is not heard")
        with _faults():
            made = _Watched.connect(
                self._conninfo,
                autocommit=True,
                cursor_factory=psycopg.RawCursor,
                connect_timeout=limits.POSTGRES_CONNECT,
                prepare_threshold=1,
                application_name="lockgate",
                client_encoding="utf8",
                **self._further,
            )
            made.given_up = self.engine.is_silent
            made.prepared_max = limits.POSTGRES_PREPARED
            made.adapters.register_dumper(str, StrDumper)
            made.adapters.register_dumper(int, Int8Dumper)
            made.adapters.register_dumper(bool, _BoolDumper)
            made.adapters.register_loader("bool", _BoolLoader)
            made.adapters.register_loader("numeric", _NumberLoader)
            made.execute("SET search_path = lockgate, pg_catalog")
            made.execute("SET default_transaction_isolation = 'read committed'")
            if self._writes:
                made.execute("SET synchronous_commit = 'on'")
            else:
                made.execute("SET default_transaction_read_only = on")
        try:
            self.engine.admit(functools.partial(_run, made), writes=self._writes)
            if self._confirmed:
                self._require_confirmed(made)
        except BaseException:
            made.close()
            raise
        return made

    def _require_confirmed(self, made: psycopg.Connection[Any]) -> None:
        """Go on with a server that came back only where it has the last transaction that it confirmed: a standby that
        took its place may lack it. Raises PostgresRefusedError."""
        own = (self._writer, self._confirmed)
        if _run(made, "SELECT 1 FROM written WHERE writer = $1 AND number = $2", own).fetchone() is None:
            raise PostgresRefusedError(went_back())

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        """As `Reader.execute`; the statement is one of the store's."""
        return self.run(translate(sql), parameters)

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """As `execute`, for a statement in PostgreSQL's own words."""
        if self._handler is not None and self._handler():
            raise PostgresError("interrupted")
        if statement == "COMMIT":
            return self._commit()
        if statement == "ROLLBACK":
            self._repeat = None
        return self._again(statement, lambda made: made.cursor().execute(statement, parameters or None))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        """As `Connection.executemany`."""
        statement, every = translate(sql), list(parameters)

        def run(made: psycopg.Connection[Any]) -> Any:
            cursor = made.cursor()
            cursor.executemany(statement, every)
            return cursor

        return self._again(statement, run)

    def copy_in(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Put rows into a table by COPY, in the transaction that is open."""
        with _faults(), self._connection.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def _again(self, statement: str, run: Callable[[psycopg.Connection[Any]], Any]) -> Any:
        """Run a statement, once more on a new connection where the old one died and nothing can have happened."""
        if self._connection.closed:
            self._connection = self._connect()
        idle = self._connection.info.transaction_status is TransactionStatus.IDLE
        harmless = idle and (not self._writes or statement.startswith("BEGIN"))
        try:
            with _faults():
                return run(self._connection)
        except PostgresError as error:
            if not self._connection.closed and self._connection.pgconn.pipeline_status:
                self._connection.close()  # the server went amid many rows: such a connection takes no statement more
            if self._connection.closed and harmless:
                self._connection = self._connect()
                with _faults():
                    return run(self._connection)
            if error.is_to_be_repeated:
                self._repeat = error
            elif error.sqlstate == _ABORTED and self._repeat is not None:
                raise self._repeat from None
            raise

    def _commit(self) -> None:
        if self._repeat is not None:
            raise self._repeat
        self._number += 1
        own = (self._writer, self._number)
        self.run(_TELL, own)
        try:
            with _faults():
                self._connection.execute("COMMIT", prepare=False)
        except PostgresError as error:
            if not self._connection.closed:
                raise
            self._ask(own, error)
        self._confirmed = self._number
        if self._number % _KEPT == 0:
            with suppress(PostgresError):
                self._forget()

    def _ask(self, own: tuple[str, int], lost: PostgresError) -> None:
        """Find out what became of a commit whose answer was lost: nothing happens where it is there. Raises
        LostCommitError where nobody says."""
        deadline = time.monotonic() + limits.POSTGRES_ASKED
        while True:
            try:
                self._connection = self._connect()
                with _faults():
                    row = self._connection.execute(
                        "INSERT INTO written (writer, number) VALUES ($1, $2) ON CONFLICT DO NOTHING", own
                    )
            except PostgresError as error:
                if time.monotonic() > deadline:
                    raise LostCommitError(str(error)) from None
                time.sleep(_RETRY)
            else:
                if row.rowcount:  # the first one had ended, and had left nothing
                    raise lost
                return

    def _forget(self) -> None:
        """Take the own rows of `written` away that nobody asks about any more."""
        self.run("DELETE FROM written WHERE writer = $1 AND number < $2", (self._writer, self._number))

    def blobopen(self, table: str, column: str, row: int, /, *, readonly: bool = True) -> _Value:
        """As `Reader.blobopen`, of a text in a table whose rows have a number named `entry`."""
        where = f"FROM {table} WHERE entry = $1"  # constants of the store
        found = self.run(f"SELECT octet_length({column}) {where}", (row,)).fetchone()
        if found is None or found[0] is None:
            raise PostgresError(f"no such value: {table}.{column}", "02000")
        return _Value(
            found[0],
            lambda: bytes(self.run(f"SELECT convert_to({column}, 'UTF8') {where}", (row,)).fetchone()[0]),
        )

    def listen(self) -> None:
        """Have every commit of a writer told to this connection. It is not made anew where it is lost."""
        with _faults():
            self._connection.execute(f"LISTEN {_CHANNEL}")

    def wait(self, seconds: float) -> None:
        """Until a commit is told, or the time is over."""
        with _faults():
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass

    def set_progress_handler(self, handler: Callable[[], bool | None] | None, n: int) -> None:
        """As `Reader.set_progress_handler`: it is called before each statement, whatever `n` is."""
        self._handler = handler

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; never on a connection that was lost."""
        return not self._connection.closed and self._connection.info.transaction_status in _OPEN

    @property
    def server(self) -> int:
        """The server's version, as 150004."""
        return int(self._connection.info.server_version)

    def close(self) -> None:
        """Let go of the connection. Harmless twice."""
        if self._writes and self._number and not self._connection.closed and not self.in_transaction:
            with suppress(PostgresError):
                self.run("DELETE FROM written WHERE writer = $1", (self._writer,))
        self._connection.close()


def answers(conninfo: str, password: str) -> bool:
    """Whether a server lets anybody in, or says why not, within `limits.POSTGRES_PROBE` seconds."""
    further: dict[str, Any] = {"password": password} if password else {}
    try:
        psycopg.Connection.connect(conninfo, connect_timeout=limits.POSTGRES_PROBE, **further).close()
    except psycopg.errors.ConnectionTimeout:
        return False
    except psycopg.Error:
        return True
    return True


def _run(made: psycopg.Connection[Any], statement: str, parameters: Sequence[Any] = ()) -> Any:
    with _faults():
        return made.execute(statement, parameters or None)


@contextmanager
def _faults() -> Iterator[None]:
    """Errors of psycopg by the store's names. No text of the server names a parameter's value."""
    try:
        yield
    except psycopg.Error as error:
        raise _fault(error) from None


def _fault(error: psycopg.Error) -> PostgresError | PostgresConflictError | PostgresDamagedError:
    text = error.diag.message_primary or " ".join(str(error).split())
    return fault(text, error.sqlstate or "")
