"""Says when the store is away from its place, and when it is back (appliance.store.presence)."""

from __future__ import annotations

import asyncio

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control
from appliance.limits import store as limits
from appliance.program_log import say
from bundles.errors import LockgateError


async def keep_looking(control: Control) -> None:
    """Record each change of whether the store is in its place. Until cancelled."""
    away = ""
    while True:
        why = await asyncio.to_thread(control.station.blobs.away)
        if bool(why) != bool(away):
            await _record(control, why)
        away = why
        await asyncio.sleep(limits.RESERVE_LOOK)


async def _record(control: Control, why: str) -> None:
    act, detail = (Act.STORE_AWAY, {"why": why}) if why else (Act.STORE_BACK, {})
    say(f"the store is {f'away: {why}' if why else 'back'}")
    try:
        await control.record(AuditEvent(act, "station", control.station.config.site, "done", detail))
    except LockgateError as error:
        say(f"{act}: {error.diagnostics()}")
