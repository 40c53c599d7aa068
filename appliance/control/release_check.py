"""The check of what is shown, one at a time: who asks while one is under way waits for the next, which all share.

The one under way may have passed by what was changed since: nobody is given its answer who asked after it began.
"""

from __future__ import annotations

import asyncio
from typing import Final

from appliance.control.threads import on_own_station
from appliance.release_check import (
    changed_blocks,
    changed_deeds,
    changed_entries,
    changed_facts,
    changed_promotions,
    changed_retirements,
    moved_tags,
    unexplained,
)
from appliance.station import Station

Findings = list[dict[str, str]]
Parts = tuple[Findings, ...]


_ALARMS: Final = (
    unexplained.alarms, moved_tags.alarms, changed_blocks.alarms, changed_entries.alarms, changed_facts.alarms,
    changed_deeds.alarms, changed_promotions.alarms, changed_retirements.alarms,
)  # fmt: skip
"""What says each part, in the order of `_check`."""
_right: Final[set[int]] = set()
"""Rows of manifests that this process found to be right."""


class ReleaseCheck:
    """What was last found, and the next look."""

    def __init__(self) -> None:
        self.found: Parts = tuple([] for _ in _ALARMS)
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
        return [line for alarms, part in zip(_ALARMS, self.found, strict=True) for line in alarms(part)]

    async def _look(self, shared: Station) -> Findings:
        async with self._turn:
            self._next = None  # who asks from now on has the next one
            self.found = await asyncio.to_thread(on_own_station, shared, _check)
        return [one for part in self.found for one in part]


def _check(station: Station) -> Parts:
    return (
        unexplained.unexplained(station), moved_tags.moved(station), changed_blocks.changed_blocks(station),
        changed_entries.changed_entries(station), changed_facts.changed_facts(station, _right),
        changed_deeds.changed_deeds(station), changed_promotions.changed_promotions(station),
        changed_retirements.changed_retirements(station),
    )  # fmt: skip
