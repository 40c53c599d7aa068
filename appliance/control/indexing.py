"""Keeps the index of packages up to date with what is shown, so that the first question need not wait for it."""

from __future__ import annotations

import asyncio

from appliance.control.api import Control
from appliance.control.threads import on_own_station
from appliance.limits import scanning as limits
from appliance.program_log import say
from appliance.scanning.index import bring_in
from appliance.store import commits
from appliance.store.errors import EngineError
from bundles.errors import LockgateError


async def keep_looking(control: Control) -> None:
    """Index SBOMs that were pushed or released, where something was written since all of them were indexed. Until
    cancelled."""
    whole: int | None = None
    while True:
        try:
            written = commits.held(control.station.reader)
            while written != whole:
                done = await asyncio.to_thread(on_own_station, control.station, bring_in)
                if done:
                    whole = written
        except (LockgateError, EngineError) as error:
            said = error.diagnostics() if isinstance(error, LockgateError) else str(error)
            say(f"SBOMs are not indexed: {said}")
        await asyncio.sleep(limits.SCAN_INDEX_EVERY)
