"""How one registry is asked by one collect: how many requests at once and in all, and when not at all."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Mapping
from typing import Final

import aiohttp

from appliance import clock
from appliance.limits import collecting as limits
from appliance.outgoing.collect.rate_limit import delay_of, left_of, limited
from bundles.errors import FailedError
from bundles.io.display import safe

_REFUSES: Final = frozenset({429})
"""Statuses that speak of the client's own rate; others with a Retry-After speak of the registry's state."""


class Pace:
    """Shared by everything that asks one host. `say` is told once where few pulls are left."""

    def __init__(
        self, host: str, back_off: float, say: Callable[[str], object] = lambda _: None, at_once: int = 0
    ) -> None:
        """`back_off`: seconds before the first further attempt; they double with each, up to REMOTE_BACK_OFF_MOST.
        `at_once`: requests at once; 0 for REMOTE_AT_ONCE."""
        self._host, self._back_off, self._say = host, back_off, say
        self.slots = asyncio.Semaphore(at_once or limits.REMOTE_AT_ONCE)
        """Held while a request is under way, from its first byte to its answer's last, and never while one waits."""
        self._requests = 0
        self._waited = 0.0
        self._pause = 0.0
        self._shut = 0.0
        self._said = False
        self._retried = False
        self._lost = 0

    async def turn(self, thing: str) -> None:
        """Before each request for `thing`: wait as long as the registry said. Raises FailedError where it is to be left
        alone for longer than a collect waits, or was asked too often."""
        if self._lost >= limits.REMOTE_LOST:
            raise FailedError(
                "the registry cannot be reached (it was given up)", thing=thing,
                remedy="check the name and the network, then run it again: what was fetched is kept",
            )  # fmt: skip
        while True:
            now = time.monotonic()
            if self._shut > now:
                raise limited(thing, int(self._shut - now) + 1)
            if self._pause <= now:
                break
            await asyncio.sleep(self._pause - now)
        self._requests += 1
        if self._requests > limits.REMOTE_REQUESTS:
            raise FailedError(
                "the registry was asked too often", thing=thing,
                remedy=f"one collect makes {limits.REMOTE_REQUESTS} requests at most: collect fewer references at once",
            )  # fmt: skip

    @property
    def rest(self) -> float | None:
        """Seconds for which the registry is to be left alone: 0.0 where it was given up, None where it may be asked."""
        left = self._shut - time.monotonic()
        if left > 0:
            return left
        return 0.0 if self._lost >= limits.REMOTE_LOST else None

    def heard(self, headers: Mapping[str, str]) -> None:
        """Take in an answer, and what it says of the registry's limit."""
        self._lost = 0
        left = left_of(headers, clock.seconds(clock.now()))
        if left is None:
            return
        remaining, reset = left
        if remaining == 0 and reset and reset <= limits.REMOTE_RETRY_WAIT and self._may_wait(reset):
            self._pause = max(self._pause, time.monotonic() + reset)
        if remaining <= limits.REMOTE_PULLS_SAID and not self._said:
            self._said = True
            when = f", more after {clock.after(reset)}" if reset else ""
            self._say(f"{self._host} says that {remaining} pulls are left{when}")

    def lost(self) -> None:
        """Something was given up after all attempts. Any answer of the host ends the count."""
        self._lost += 1

    async def pause(self, thing: str, failures: int, error: Exception) -> None:
        """Wait before the next attempt after so many failures. Raises FailedError for a limit that lasts too long."""
        wait = min(self._back_off * 2 ** (failures - 1), limits.REMOTE_BACK_OFF_MOST)
        wait *= random.uniform(0.5, 1.5)  # noqa: S311  so that clients do not come back together
        if isinstance(error, aiohttp.ClientResponseError):
            text = error.headers.get("Retry-After", "") if error.headers else ""
            delay = delay_of(text, clock.seconds(clock.now()))
            if error.status in _REFUSES:
                last = failures >= limits.REMOTE_ATTEMPTS
                if last or (delay or 0) > limits.REMOTE_RETRY_WAIT or not self._may_wait(max(wait, delay or 0)):
                    self._shut = time.monotonic() + (delay or 0)
                    raise limited(thing, delay) from None
                self._pause = max(self._pause, time.monotonic() + (delay or 0))
            wait = max(wait, min(delay or 0, limits.REMOTE_RETRY_WAIT))
        if not self._retried:
            self._retried = True
            self._say(f"{self._host} gives no answer that can be used ({said_by(error)}); trying again")
        await asyncio.sleep(wait)

    def _may_wait(self, seconds: float) -> bool:
        """Whether the collect has so much patience left with this registry; it is then taken."""
        if self._waited + seconds > limits.REMOTE_RETRY_TOTAL:
            return False
        self._waited += seconds
        return True


def said_by(error: Exception) -> str:
    """What went wrong with a request, in a few words that any terminal can show."""
    if isinstance(error, aiohttp.ClientSSLError):
        reason = "its certificate is not trusted"
    elif isinstance(error, aiohttp.ClientConnectorError):
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    else:
        reason = getattr(error, "message", "") or str(error) or "it takes too long"
    return safe(" ".join(reason.split()))[:160]  # what answers no HTTP is quoted by the parser, over several lines
