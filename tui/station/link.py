"""Asking the station without ever waiting for it at the keyboard: every call has an end, and a lost station is a state,
not an error on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tui.station.port import NotLoggedInError, Station, StationLostError

T = TypeVar("T")

PATIENCE: Final = 8.0
"""Seconds a call may take: a station that hashes at full speed answers in well under one."""

SLOW: Final = 120.0
"""Seconds for a call that reads much: a plan over a large store."""


class Link:
    """The station as this console sees it; `lost_at` is when it last stopped answering (a wire time), else empty.
    `again` says who asks again."""

    def __init__(
        self,
        station: Station,
        now: Callable[[], str],
        patience: float = PATIENCE,
        again: str = "the console tries again by itself",
    ) -> None:
        self.station = station
        self.now = now
        self.patience = patience
        self.again = again
        self.lost_at = ""
        self.heard_at = ""

    @property
    def lost(self) -> bool:
        return bool(self.lost_at)

    async def ask(self, call: Callable[[Station], Awaitable[T]], patience: float | None = None) -> T:
        """The answer. Raises StationLostError when there is none in time, LockgateError as the station said it."""
        try:
            async with asyncio.timeout(patience or self.patience):
                answer = await call(self.station)
        except TimeoutError:
            self._lose()
            raise StationLostError("the station does not answer", remedy=self.again) from None
        except StationLostError:
            self._lose()
            raise
        except NotLoggedInError:
            self.heard_at, self.lost_at = self.now(), ""
            raise
        except OSError as error:
            self._lose()
            raise StationLostError(f"the station does not answer ({error.strerror})") from None
        self.heard_at, self.lost_at = self.now(), ""
        return answer

    def _lose(self) -> None:
        self.lost_at = self.lost_at or self.now()
