"""The thread that owns the only write connection, and commits whatever has queued up as one group.

Each write runs in a savepoint of its own: one that is refused undoes itself and nothing else. Nobody hears back
before the group's COMMIT, so what a sender was told is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from appliance import clock
from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.store import commits
from appliance.store.database import open_writer
from appliance.store.database_file import exchanged, save
from appliance.store.engine import engine_of
from appliance.store.epoch import EpochKeeper
from appliance.store.errors import AWAY, EngineError, is_away, is_full, is_lost, is_to_be_repeated
from appliance.store.held_writes import WriterTurn
from appliance.store.own_code import CodeKeeper
from appliance.store.placement import Placement
from appliance.store.ports import Connection
from appliance.store.reserve import Reserve
from appliance.store.sqlite_file import in_memory
from appliance.store.writes.write import LostAnswerError, Write
from bundles.errors import FailedError, LockgateError, NoSpaceError

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    write: Write
    future: Future[Any] = field(default_factory=Future)


class _Keeper(Protocol):
    """Looks after something of the database that every write rests on."""

    def begin(self, db: Connection) -> None:
        """Before the writes of a transaction, and in it."""
        ...

    def end(self, db: Connection) -> None:
        """Behind them, before the commit."""
        ...


class LocalWriter:
    """Applies writes directly on a connection of one's own: for tests and for folder commands."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(self, write: Write) -> Any:
        """Apply and commit. Raises what the write raised."""
        pending = _Pending(write)
        _commit_group(self._connection, [pending], self._promise)
        return pending.future.result()

    def _promise(self) -> None:
        """Say beside the database what it holds now; one in memory is nobody's."""
        path = engine_of(self._connection).file_of(self._connection)
        value = commits.held(self._connection) if path is not None else None
        if path is not None and value is not None:
            with contextlib.suppress(OSError):  # what is beside it is then behind, which proves nothing
                commits.promise(path, value)


class WriterService:
    """The group-committing writer of one database; a context manager. Its `submit` is a blocking `Writer`."""

    def __init__(self, database: Path) -> None:
        """Opens (and migrates) the database at once, so that a bad one is reported to whoever starts the station."""
        self._connection = open_writer(database)
        try:
            self._keepers: tuple[CodeKeeper | EpochKeeper, ...] = (EpochKeeper(database),)
            if engine_of(self._connection).file_of(self._connection) is not None:
                self._keepers = (CodeKeeper(in_memory), *self._keepers)
            self._promised = commits.Promised(database)
            self._turn = WriterTurn(database)
        except OSError as error:
            raise FailedError(
                f"what stands beside the metadata cannot be written ({error.strerror})",
                thing=str(database),
                remedy="check the disk",
            ) from None
        self._told, self._looked = 0, time.monotonic()
        self._tell()
        self._enter_start()
        self._database, self._placement = database, Placement(database)
        self._refusal: FailedError | None = None
        self._reserve = Reserve(StationPaths(database.parent).reserve)
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._closed = threading.Lock()
        self._open = True
        self._thread.start()

    def _enter_start(self) -> None:
        """Enter a mark for this start, first in the database. One whose disk takes no write keeps the last start's."""
        db = self._connection
        try:
            db.execute("BEGIN IMMEDIATE")
            mark = commits.enter_start(db)
            commits.count_up(db)
            db.execute("COMMIT")
            self._tell()
            self._promised.set_mark(mark)
            self._promised.sync()
        except (EngineError, OSError) as error:
            _log.warning("the start of the writer could not be entered: %s", error)
            if db.in_transaction:
                db.execute("ROLLBACK")

    def __enter__(self) -> WriterService:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enqueue(self, write: Write) -> Future[Any]:
        """Queue a write; the future holds its result or error after its group's commit."""
        pending = _Pending(write)
        with self._closed:
            if not self._open:
                raise FailedError("the station is stopping", remedy="start it again")
            self._queue.put(pending)
        return pending.future

    def submit(self, write: Write) -> Any:
        """Apply and commit; durable on return. Raises what the write raised, or FailedError."""
        return self.enqueue(write).result()

    def close(self) -> None:
        """Commit what is queued, then let go of the database. Harmless twice."""
        with self._closed:
            if self._open:
                self._open = False
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            going = True
            while going:
                group = [self._next()]
                while len(group) < limits.WRITE_GROUP and not self._queue.empty():
                    group.append(self._queue.get())
                going = None not in group
                pending = [one for one in group if one is not None]
                lost: LockgateError | None = self._lost() or self._exchanged()
                if lost is None:
                    lost = self._commit(pending)
                for one in pending if lost is not None else ():
                    one.future.set_exception(lost)
        finally:
            self._connection.close()
            self._promised.close()
            self._turn.close()

    def _commit(self, pending: list[_Pending]) -> LockgateError | None:
        """Commit a group; why nothing of it was begun, where the metadata is being moved."""
        try:
            with self._turn.taken():
                _commit_group(self._connection, pending, self._tell, self._reserve.give_back, self._keepers)
        except LockgateError as error:
            return error
        return None

    def _next(self) -> _Pending | None:
        """What comes next from the queue, however long that takes. The database's files are looked after meanwhile."""
        while True:
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=limits.METADATA_LOOK)
            if self._lost() is None:
                self._exchanged()

    def _exchanged(self) -> FailedError | None:
        """As `_lost`, where other bytes were written over the database's file. Asked of the disk every few seconds: it
        takes some milliseconds."""
        if time.monotonic() - self._looked < limits.METADATA_LOOK:
            return None
        self._looked = time.monotonic()
        if why := exchanged(self._database):
            _log.error("%s, under the running station: nothing is written any more", why)
            self._refusal = FailedError(
                "another copy of the metadata is in its place under the running station, so nothing is written",
                thing=why,
                remedy="stop the station, put the newest copy back, and start it again",
            )
        return self._refusal

    def _lost(self) -> FailedError | None:
        """Why nothing is written any more: the database's files were deleted or exchanged. What it held is saved
        then, once."""
        if self._refusal is None and (why := self._placement.lost()):
            try:
                saved = f"all of it is in {save(self._connection, self._placement, self._database, _compact())}"
            except (EngineError, OSError) as error:
                saved = f"it could not be saved ({error})"
            _log.error("%s under the running station: nothing is written any more; %s", why, saved)
            self._refusal = FailedError(
                "the metadata's files were deleted or exchanged under the running station, so nothing is written",
                thing=f"{why}; {saved}",
                remedy="stop the station, see that this is the metadata in its place, and start it again",
            )
        return self._refusal

    def _tell(self) -> None:
        """Let every worker see the epoch, and say beside the database what it holds."""
        for keeper in self._keepers:
            keeper.tell()
        value = commits.held(self._connection)
        if value is not None and value >= self._told:  # never back: then it is another database
            self._told = value
            self._promised.set(value)


def _compact() -> str:
    return clock.now().replace(":", "").replace("-", "").lower()


class AsyncWriterService:
    """The service as an `AsyncWriter`, for coroutines in its own process."""

    def __init__(self, service: WriterService) -> None:
        self._service = service

    async def submit(self, write: Write) -> Any:
        """As WriterService.submit, without holding the event loop."""
        return await asyncio.wrap_future(self._service.enqueue(write))


def _commit_group(
    db: Connection,
    group: Sequence[_Pending],
    committed: Callable[[], None] = lambda: None,
    give_back: Callable[[], bool] = lambda: False,
    keepers: Sequence[_Keeper] = (),
) -> None:
    """One transaction for the whole group; every future is settled when it returns, and none before `committed`.
    `keepers` put right in the same transaction what was changed by hand.

    Where the disk is full, `give_back` frees a step of the reserve and the group is tried again: what would fill the
    disk was refused before it came here. A group that met another one is applied again, on what that left.
    """
    if not group:
        return
    try:
        outcomes = _apply_until_committed(db, group, give_back, keepers)
        committed()
    except EngineError as error:
        # SQLite may have rolled back by itself (a full disk): then nothing of the group happened, and all hear so.
        if db.in_transaction:
            db.execute("ROLLBACK")
        _fail(group, error)
        return
    for pending, result, refusal in outcomes:
        if refusal is None:
            pending.future.set_result(result)
        else:
            pending.future.set_exception(refusal)


def _apply_until_committed(
    db: Connection, group: Sequence[_Pending], give_back: Callable[[], bool], keepers: Sequence[_Keeper]
) -> list[tuple[_Pending, Any, LockgateError | None]]:
    """As `_apply_group`, again where there is a reason to."""
    rounds = limits.SERIALIZATION_ROUNDS
    while True:
        try:
            return _apply_group(db, group, keepers)
        except EngineError as error:
            rounds -= 1
            if not (rounds if is_to_be_repeated(error) else is_full(error) and give_back()):
                raise
            if db.in_transaction:
                db.execute("ROLLBACK")


def _fail(group: Sequence[_Pending], error: Exception) -> None:
    """Tell every sender of a group that nothing of it happened, or that nobody knows."""
    if is_lost(error):
        _log.error("nobody knows whether a group of %d writes was committed: %s", len(group), error)
        for pending in group:
            pending.future.set_exception(_unknown(pending.write))
        return
    _log.error("a group of %d writes was not committed: %s", len(group), error)
    kind = NoSpaceError if is_full(error) else FailedError
    remedy = "see that its server runs and is reached" if is_away(error) else "check the station's disk"
    code = AWAY if is_away(error) else ""
    for pending in group:
        pending.future.set_exception(kind("the metadata cannot be written", thing=str(error), remedy=remedy, code=code))


def _unknown(write: Write) -> LockgateError:
    return LostAnswerError(
        "the database went before it answered",
        thing=type(write).__name__,
        remedy="when it is back, look whether the change was made",
        code=AWAY,
    )


def _apply_group(
    db: Connection, group: Sequence[_Pending], keepers: Sequence[_Keeper]
) -> list[tuple[_Pending, Any, LockgateError | None]]:
    """The group's writes, committed. Raises EngineError where none of them happened."""
    db.execute("BEGIN IMMEDIATE")
    for keeper in keepers:
        keeper.begin(db)
    outcomes = [(pending, *_apply(db, pending.write)) for pending in group]
    for keeper in keepers:
        keeper.end(db)
    commits.count_up(db)
    db.execute("COMMIT")
    return outcomes


def _apply(db: Connection, write: Write) -> tuple[Any, LockgateError | None]:
    """One write in its savepoint: its result, or the error that undid it. Raises EngineError where the whole
    transaction is lost."""
    db.execute("SAVEPOINT one_write")
    try:
        result = write.apply(db)
    except LockgateError as error:
        refusal = error
    except Exception as error:
        # All of the transaction is lost: a full disk, another transaction that it met, a server that went.
        if not db.in_transaction or is_full(error) or is_to_be_repeated(error):
            raise
        _log.exception("%s failed", type(write).__name__)
        refusal = FailedError("a write failed inside the station", thing=type(write).__name__, remedy="see the log")
    else:
        db.execute("RELEASE one_write")
        return result, None
    db.execute("ROLLBACK TO one_write")
    db.execute("RELEASE one_write")
    return None, refusal
