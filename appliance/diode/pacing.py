"""An even stream of datagrams: a link drops what comes in bursts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_PEAK: Final = 1.5
"""How much faster than the limit datagrams may follow one another where the sender was late."""

_LATE: Final = 0.5
"""Seconds of lateness that are made up for, at that rate."""

_BURST: Final = 0.003
"""Seconds' worth of datagrams that may go at once: less than a sleep is off by is not worth to wait for."""

_SHORTEST: Final = 0.0005
"""Seconds below which it is not worth to sleep."""


class Pacing:
    """A limit of `rate` bytes a second."""

    def __init__(
        self, rate: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._even = self._peak = clock()

    def take(self, count: int) -> None:
        """Wait until `count` more bytes may go."""
        now = self._clock()
        self._even = max(self._even, now - _LATE) + count / self._rate
        self._peak = max(self._peak, now - _BURST) + count / (_PEAK * self._rate)
        wait = max(self._even, self._peak) - now
        if wait > _SHORTEST:
            self._sleep(wait)
