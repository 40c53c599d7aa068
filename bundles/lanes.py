"""Work that overlaps: a lane is one thread with a bounded queue, so that reading, hashing and writing go on at once.

hashlib, zlib.crc32 and file calls release the GIL on chunks of `limits.CHUNK`, so lanes use both cores; the bound
keeps memory at a few chunks however slow a lane is.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
_DEPTH: Final = 8
"""Chunks that may wait in a lane."""

_END: Final = object()


class Lane(Generic[Item]):
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
        """Queue an item, waiting while the lane is full. Raises what `work` raised before."""
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

    def __enter__(self) -> Lane[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        elif not self._closed:
            self._closed = True
            self._error = self._error or error
            self._queue.put([])
            self._thread.join()


def at_once(work: Callable[[Item], object], items: Sequence[Item], lanes: int) -> None:
    """Do `work` on every item, in at most `lanes` threads, this one among them; an item goes to whichever is free.

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

    others = [threading.Thread(target=drain, daemon=True) for _ in range(min(lanes, len(items)) - 1)]
    for thread in others:
        thread.start()
    drain()
    for thread in others:
        thread.join()
    if failed:
        raise failed[0]
