"""How fast, and when: a transfer's bandwidth limit and its windows of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from appliance.settings.transfer_hosts import parse_hours

_BURST: Final = 0.25
"""Seconds' worth of bytes that may go at once: a limit is even, and small files need not wait."""


class Pace:
    """A limit of `rate` bytes a second over all threads that take from it; 0 is none."""

    def __init__(
        self, rate: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._free = clock()
        self._turn = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until `count` more bytes may go."""
        if not self._rate:
            return
        with self._turn:
            now = self._clock()
            self._free = max(self._free, now - _BURST) + count / self._rate
            wait = self._free - now
        if wait > 0:
            self._sleep(wait)


def opens(hours: Sequence[str], now: datetime) -> datetime | None:
    """When the next of the windows opens; None while one is open, or where there is none. `now` is in UTC."""
    if not hours:
        return None
    coming = []
    for start, end in map(parse_hours, hours):
        moment = now.time().replace(tzinfo=None)
        inside = start <= moment < end if start < end else moment >= start or moment < end
        if inside:
            return None
        day = now.date() if moment < start else now.date() + timedelta(days=1)
        coming.append(datetime.combine(day, start, UTC))
    return min(coming)
