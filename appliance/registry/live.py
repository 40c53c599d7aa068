"""What one worker is doing, while somebody looks (`lockgate top`): the requests that it answers, and who asks.

Nobody looks for most of the time, and nothing is counted then. Whoever looks touches a file, and each worker finds that
within a moment; it stops when the file was not touched for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from appliance import clock
from appliance.api.live import LIVE_TOOK, LiveCount, LiveRequest, WorkerLive
from appliance.limits import station as limits
from appliance.registry.request_log import SHOWN, Answered
from bundles.errors import LockgateError
from bundles.io.files import write_atomic

OTHERS: Final = "(others)"
"""Who comes when `limits.LIVE_NAMES` are counted already: clients choose names."""


@dataclass(frozen=True, slots=True)
class LivePlace:
    """`wanted` is touched by who looks; `snapshot` is what this worker, `number`, tells."""

    wanted: Path
    snapshot: Path
    number: int

    def is_wanted(self) -> bool:
        """Whether anybody looked lately. Blocking."""
        try:
            return -limits.LIVE_AWAY < time.time() - self.wanted.stat().st_mtime < limits.LIVE_AWAY
        except OSError:
            return False

    def tell(self, told: WorkerLive) -> None:
        """Write the snapshot; where the disk does not take it, it gets old and counts for nothing. Blocking."""
        with contextlib.suppress(OSError, LockgateError):
            write_atomic(self.snapshot, msgspec.json.encode(told), 0o600)

    def end(self) -> None:
        """Take the snapshot away. Blocking."""
        with contextlib.suppress(OSError):
            self.snapshot.unlink(missing_ok=True)


class _Counts:
    """Counts by a name."""

    def __init__(self) -> None:
        self._cells: dict[str, list[int]] = {}

    def add(self, name: str, length: int, seconds: float, *, failed: bool) -> None:
        cell = self._cells.get(name)
        if cell is None:
            if len(self._cells) >= limits.LIVE_NAMES:
                name = OTHERS
            cell = self._cells.setdefault(name, [0] * (4 + len(LIVE_TOOK)))
        cell[0] += 1
        cell[1] += failed
        cell[2] += length
        cell[3 + bisect_left(LIVE_TOOK, seconds)] += 1

    def told(self) -> tuple[LiveCount, ...]:
        return tuple(LiveCount(name=name, requests=one[0], failed=one[1], bytes=one[2], took=tuple(one[3:]))
                     for name, one in self._cells.items())  # fmt: skip


class Live:
    """For the event loop's thread alone."""

    def __init__(self, number: int) -> None:
        self._number, self._since = number, time.monotonic()
        self._under_way: dict[str, Callable[[], LiveRequest]] = {}
        self._accounts, self._repositories, self._reasons = _Counts(), _Counts(), _Counts()

    def begun(self, id_: str, shown: Callable[[], LiveRequest]) -> None:
        """A request came in; `shown` says how it stands, whenever somebody looks."""
        self._under_way[id_] = shown

    def forget(self, id_: str) -> None:
        """A request is no more."""
        self._under_way.pop(id_, None)

    def ended(self, seen: Answered) -> None:
        """A request was answered, or broke."""
        self._under_way.pop(seen.id, None)
        failed, seconds = seen.reason != "ok", seen.ended - seen.begun
        self._accounts.add(seen.account or f"(nobody) {seen.address}", seen.length, seconds, failed=failed)
        if seen.repository:
            self._repositories.add(seen.repository, seen.length, seconds, failed=failed)
        self._reasons.add(seen.reason, seen.length, seconds, failed=failed)

    def told(self) -> WorkerLive:
        """How things stand: the requests that take longest, and everything since somebody looks."""
        shown = sorted((one() for one in self._under_way.values()), key=lambda one: -one.seconds)
        return WorkerLive(
            worker=self._number, at=clock.now(), seconds=round(time.monotonic() - self._since, 3),
            under_way=len(shown), requests=tuple(shown[: limits.LIVE_REQUESTS]), accounts=self._accounts.told(),
            repositories=self._repositories.told(), reasons=self._reasons.told(),
        )  # fmt: skip


async def keep(place: LivePlace, look: Callable[[Live | None], object]) -> None:
    """Give `look` a tally while somebody looks, and None when nobody does any more. Until cancelled."""
    live: Live | None = None
    try:
        while True:
            wanted = await asyncio.to_thread(place.is_wanted)
            if wanted != (live is not None):
                live = Live(place.number) if wanted else None
                look(live)
                if live is None:
                    await asyncio.to_thread(place.end)
            if live is not None:
                await asyncio.to_thread(place.tell, live.told())
            await asyncio.sleep(limits.LIVE_LOOK)
    finally:
        look(None)
        place.end()


def short(path: str) -> str:
    """A path as it is shown."""
    return path[:SHOWN]
