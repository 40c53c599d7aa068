"""What is known of a bucket's server that did not answer: for a moment nobody asks it again, then one does.

A server that hangs holds a thread for as long as its answer is waited for. Without this each request of a client would
wait for it, until no thread is left for what needs none of the bucket.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance.limits import store as limits
from appliance.store.presence import StoreAwayError
from bundles.errors import FailedError


class Breaker:
    """Of one process's way to a bucket. Safe for threads. `now` gives seconds that only go forward."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failed: FailedError | None = None
        self._until = 0.0
        self._asking = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around what asks the server. Raises what it was last refused with, without asking, where that was less than
        `limits.S3_REST` seconds ago, or while another thread finds out whether it answers again."""
        first = self._begin()
        try:
            yield
        except StoreAwayError as error:
            self._end(error)
            raise
        except BaseException:
            if first:
                with self._lock:
                    self._asking = False
            raise
        self._end(None)

    def why(self) -> str:
        """In one line why it was away when it was last asked; "" where it answered."""
        failed = self._failed
        return "" if failed is None else f"{failed.what} ({failed.thing})"

    def _begin(self) -> bool:
        if self._failed is None:
            return False
        with self._lock:
            failed = self._failed
            if failed is None:
                return False
            if self._asking or self._now() < self._until:
                raise type(failed)(failed.what, thing=failed.thing, remedy=failed.remedy, code=failed.code)
            self._asking = True
            return True

    def _end(self, failed: FailedError | None) -> None:
        if failed is None and self._failed is None:
            return
        with self._lock:
            self._failed, self._asking = failed, False
            self._until = self._now() + limits.S3_REST
