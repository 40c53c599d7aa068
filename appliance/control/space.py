"""Keeps the disk's reserve, and says when the station begins and ends to be read-only (appliance.store.reserve)."""

from __future__ import annotations

import asyncio

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control
from appliance.limits import store as limits
from appliance.program_log import say
from appliance.store.reserve import Reserve
from bundles.errors import LockgateError


async def keep_looking(control: Control) -> None:
    """Make the reserve, make it whole again once there is room, take back what acts did not use of it, and record each
    change of whether content is taken in. Until cancelled."""
    reserve, anew = Reserve(control.station.paths.reserve), True
    while True:
        whole = await asyncio.to_thread(reserve.keep, anew=anew)
        anew = False
        if not whole and not control.jobs.list(1, state="running"):
            await asyncio.to_thread(reserve.take_back, control.starting)
        await _note(control, await asyncio.to_thread(reserve.read_only))
        await asyncio.sleep(limits.RESERVE_LOOK)


async def _note(control: Control, why: str) -> None:
    if bool(why) == bool(control.read_only_since):
        return
    control.read_only_since = clock.now() if why else ""
    act, detail = (Act.READ_ONLY, {"why": why}) if why else (Act.READ_WRITE, {})
    try:
        await control.record(AuditEvent(act, "station", control.station.config.site, "done", detail))
    except LockgateError as error:  # the log has no room at all: standard error hears it
        say(f"{act}: {why or 'there is room again'}; {error.diagnostics()}")


def read_only(control: Control) -> dict[str, str] | None:
    """Since when the station takes no content in, and why, as it is now; None where it does."""
    why = Reserve(control.station.paths.reserve).read_only()
    return {"since": control.read_only_since or clock.now(), "why": why} if why else None
