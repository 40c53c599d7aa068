"""Follows the audit log: every event that any process of the station writes is seen here, about a second later.

Commands that work on the station's folder and jobs write lanes of their own; so what must be told of each act is told
from the log, and not where acts happen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from appliance.audit.reading import own_heads, own_since
from appliance.limits import forwarding as limits
from appliance.paths import StationPaths
from bundles.documents.audit_log import segments
from bundles.errors import LockgateError

_log: Final = logging.getLogger(__name__)
Events = Sequence[Mapping[str, Any]]
"""Events as the log has them, the oldest first."""


def report(what: str, error: LockgateError) -> None:
    """Say in the program's log what does not go on."""
    _log.warning("%s: %s", what, error)


class LogFollower:
    """`heads` has the number of the last event seen of each lane. What the station did not write is no event."""

    def __init__(self, paths: StationPaths) -> None:
        self._paths = paths
        self.heads: dict[int, int] = {}
        self._sizes: tuple[tuple[str, int], ...] = ()

    @property
    def count(self) -> int:
        """Events in the log so far, those that were pruned too: each lane counts its own from 1."""
        return sum(self.heads.values())

    async def begin(self) -> None:
        """Start behind the newest events. Raises FailedError where the log cannot be read."""
        self.heads = await asyncio.to_thread(own_heads, self._paths)

    async def look(self) -> Events:
        """The events since the last look. Raises FailedError; the next look then gives them."""
        sizes = await asyncio.to_thread(self._look_at_sizes)
        if sizes == self._sizes:
            return ()
        newest = await asyncio.to_thread(own_since, self._paths, dict(self.heads), (b"",))
        for event in newest:
            lane, seq = int(event["lane"]), int(event["seq"])
            self.heads[lane] = max(self.heads.get(lane, 0), seq)
        self._sizes = sizes
        return newest[::-1]

    def back_to(self, heads: Mapping[int, int]) -> None:
        """Give the events behind `heads` again at the next look."""
        self.heads, self._sizes = dict(heads), ()

    async def keep_following(self, tell: Callable[[Events], Awaitable[None]]) -> None:
        """Hand every event to `tell`. Until cancelled."""
        begun = False
        while True:
            try:
                if not begun:
                    await self.begin()
                    begun = True
                if events := await self.look():
                    await tell(events)
            except LockgateError as error:
                report("the audit log is not followed", error)
            await asyncio.sleep(limits.LOG_LOOK)

    def _look_at_sizes(self) -> tuple[tuple[str, int], ...]:
        """What a write changes. A few stats."""
        found = []
        for segment in segments(self._paths.audit):
            try:
                found.append((segment.path.name, segment.path.stat().st_size))
            except FileNotFoundError:  # pruned meanwhile
                continue
        return tuple(found)
