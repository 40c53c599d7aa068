"""Work that overlaps: a work thread has a bounded queue, so that reading, hashing and writing go on at once.

hashlib, zlib.crc32 and file calls release the GIL on chunks of `limits.CHUNK`, so the threads use both cores; the bound
keeps memory at a few chunks however slow a thread is.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Generic, TypeVar

from bundles.io.threads import Threads

Item = TypeVar("Item")
_DEPTH: Final = 8
"""Chunks that may wait for a thread."""

_END: Final = object()


class WorkThread(Generic[Item]):
    """Hands each item to `work` in order, in a thread of its own. An error in `work` is raised at the next `put` or
    at `close`; what was queued behind it is dropped."""

    def __init__(self, work: Callable[[Item], object], depth: int = _DEPTH) -> None:
        self._work = work
        self._queue: queue.Queue[list[Item]] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._closed = False
        self._thread.start()

    def _run(self) -> None:
        while boxed := self._queue.get():
            if self._error is None:
                try:
                    self._work(boxed[0])
                except BaseException as error:
                    self._error = error

    def put(self, item: Item) -> None:
        """Queue an item, waiting while the queue is full. Raises what `work` raised before."""
        if self._error is not None:
            self.close()
        self._queue.put([item])

    def close(self) -> None:
        """Wait until everything queued is done. Raises what `work` raised."""
        if not self._closed:
            self._closed = True
            self._queue.put([])
            self._thread.join()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> WorkThread[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.drop(error)

    def drop(self, error: BaseException) -> None:
        """End without what is still queued, because of `error`. Harmless after `close`."""
        if not self._closed:
            self._closed = True
            self._error = self._error or error
            self._queue.put([])
            self._thread.join()


class Crew:
    """A few threads for works that wait for the disk, such as an fsync: what comes behind them need not wait too.

    At most `threads` works go on at once and as many more wait, so that memory and open files stay bounded. Every work
    that was put is done; the first error is raised at the next `put` or at `close`.
    """

    def __init__(self, threads: int) -> None:
        self._pool = Threads(threads)
        self._room = threading.Semaphore(2 * threads)
        self._failed: list[BaseException] = []

    def put(self, work: Callable[[], object]) -> None:
        """Have `work` done, waiting while too much is waiting already. Raises what a work before it raised."""
        self._raise()
        self._room.acquire()
        self._pool.submit(self._do, work)

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self._failed.append(error)
        finally:
            self._room.release()

    def _raise(self) -> None:
        if self._failed:
            raise self._failed[0]

    def close(self) -> None:
        """Wait until everything that was put is done. Raises what one of the works raised."""
        self._pool.shutdown()
        self._raise()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self._raise()


def at_once(work: Callable[[Item], object], items: Sequence[Item], threads: int) -> None:
    """Do `work` on every item, in at most `threads` threads, this one among them; an item goes to whichever is free.

    The first error is raised when all have ended; nothing new is begun after it.
    """
    waiting = iter(items)
    turn = threading.Lock()
    failed: list[BaseException] = []

    def drain(_: object = None) -> None:
        while not failed:
            with turn:
                item = next(waiting, _END)
            if item is _END:
                return
            try:
                work(item)  # type: ignore[arg-type]
            except BaseException as error:
                failed.append(error)

    others = [threading.Thread(target=drain, daemon=True) for _ in range(min(threads, len(items)) - 1)]
    for thread in others:
        thread.start()
    drain()
    for thread in others:
        thread.join()
    if failed:
        raise failed[0]
