"""The check of what is shown, one at a time: who asks while one is under way waits for the next, which all share.

The one under way may have passed by what was changed since: nobody is given its answer who asked after it began.
"""

from __future__ import annotations

import asyncio
from typing import Final

from appliance.control.threads import on_own_station
from appliance.release_check.parts import ALARMS, Findings, Parts, check_parts
from appliance.station import Station

_right: Final[set[int]] = set()
"""Rows of manifests that this process found to be right."""


class ReleaseCheck:
    """What was last found, and the next look."""

    def __init__(self) -> None:
        self.found: Parts = tuple([] for _ in ALARMS)
        self._turn = asyncio.Lock()
        self._next: asyncio.Future[Findings] | None = None

    async def look(self, shared: Station) -> Findings:
        """What is shown and nobody released, released tags that moved, and blocks, bundles, facts of manifests and
        promotions that were changed: found by a look that begins after this call. Raises FailedError where the audit
        log cannot be read."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._look(shared))
        return await asyncio.shield(self._next)

    def alarms(self) -> list[str]:
        """A line for each thing that was last found."""
        return [line for alarms, part in zip(ALARMS, self.found, strict=True) for line in alarms(part)]

    async def _look(self, shared: Station) -> Findings:
        async with self._turn:
            self._next = None  # who asks from now on has the next one
            self.found = await asyncio.to_thread(on_own_station, shared, _check)
        return [one for part in self.found for one in part]


def _check(station: Station) -> Parts:
    return check_parts(station, _right)
