"""Threads where memory is scarce: small stacks, few arenas, and a pool that makes do with the threads it got."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bundles.errors import FailedError

_ARENA_MAX: Final = -8
"""M_ARENA_MAX of mallopt(3)."""

_ARENAS: Final = 2


def take_little_space(stack: int) -> None:
    """Give each thread that is started from now on a stack of `stack` bytes, and all of them two of glibc's arenas.

    The usual stack of 8 MiB and arena of 64 MiB a thread are address space alone; under a limit on that (RLIMIT_AS) no
    thread can be started after the first few.
    """
    threading.stack_size(stack)
    with contextlib.suppress(AttributeError):  # another C library than glibc has no arenas
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)


class Threads(ThreadPoolExecutor):
    """A pool that goes on with fewer threads where the system gives no further one.

    `submit` raises FailedError where it gave none at all; the work is then dropped.
    """

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except (RuntimeError, MemoryError):
            if self._threads:
                return
            self._work_queue.get_nowait()
            raise FailedError(
                "no thread can be started",
                thing="too little memory, or too many processes",
                remedy="raise the limit on address space or on processes (ulimit -v, ulimit -u, TasksMax)",
            ) from None
