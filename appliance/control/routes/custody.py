"""What happens to a bundle after its release: /v1/intake/{id}/withdraw."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance.control.api import Control, act, audited, caller, post
from appliance.control.own_station import on_own_station
from appliance.intake.ledger import find_entry
from appliance.intake.release import prepare_withdraw
from appliance.observe.audit import AuditEvent


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def withdraw(request: web.Request) -> web.Response:
        entry, actor = find_entry(control.station.reader, request.match_info["id"]), caller(request)
        why = str((await request.json())["why"])
        preparing = asyncio.to_thread(on_own_station, control, lambda own: prepare_withdraw(own, entry, why, actor))
        write = await audited(control, request, "intake.withdraw", entry.id, preparing)
        detail = {"digest": entry.digest, "why": why}
        gone = await act(control, AuditEvent("intake.withdraw", actor, entry.id, "done", detail), write)
        return web.json_response({"id": entry.id, "withdrawn": gone})

    return [post("/v1/intake/{id}/withdraw", "withdraw", withdraw)]
