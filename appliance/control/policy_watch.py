"""Says where it is not known what the policy for images asks: the workers let nobody pull then who may not push."""

from __future__ import annotations

import asyncio
from typing import Any

from appliance.control.api import Control
from appliance.image_signatures.policy_in_force import PolicyInForce, look
from appliance.limits import image_signatures as limits
from appliance.program_log import say


async def keep_looking(control: Control) -> None:
    """Look as the workers do, which reads the audit log only where the policy's files changed. Until cancelled."""
    while True:
        before = control.policy
        control.policy = await asyncio.to_thread(look, control.station.paths, before)
        if control.policy.fault and (before is None or before.fault != control.policy.fault):
            say(f"the policy for images: {control.policy.fault}")
        await asyncio.sleep(limits.POLICY_LOOKED_AT)


def check(standing: PolicyInForce | None) -> dict[str, Any]:
    """The check `policy` of the station's health; None: nothing was looked at yet."""
    if standing is None:
        return {"name": "policy", "ok": True, "detail": "is being looked at"}
    if standing.fault:
        pulls = "nobody pulls who may not push; see: lockgate policy explain"
        return {"name": "policy", "ok": False, "detail": f"{standing.fault}; {pulls}"}
    if standing.is_idle or standing.applied is None:
        return {"name": "policy", "ok": True, "detail": "nothing is asked of images"}
    return {"name": "policy", "ok": True, "detail": f"policy {standing.applied.policy.number} for images is in force"}
