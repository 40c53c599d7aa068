"""/v1/approvals: what waits for people, for them to look at (decisions go to /v1/intake/{id}/approval); and
/v1/releases/check: whether what is shown was released."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from appliance.control import duties
from appliance.control.api import Control, get, may, page_of, require
from appliance.control.threads import on_own_station
from appliance.intake import pending
from appliance.station import Station
from appliance.store.reads.intake import cursor, find_entry
from bundles.signing.keys import check_keyid


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def listed(request: web.Request) -> web.Response:
        limit, after, text = page_of(request)

        def look(own: Station) -> dict[str, Any]:
            entries = pending.list_pending(own.reader, limit, after, text)
            more = cursor(entries[-1]) if len(entries) == limit else None
            return {"items": [pending.listed(own, entry) for entry in entries], "next": more}

        return web.json_response(await asyncio.to_thread(on_own_station, control.station, look))

    async def show(request: web.Request) -> web.Response:
        name, keyid = request.match_info["id"], request.query.get("keyid", "")
        if keyid:
            check_keyid(keyid)

        changes = duties.unshown(control)

        def look(own: Station) -> bytes:
            shown = pending.detail(own, find_entry(own.reader, name), keyid) | {"account_changes": changes}
            return msgspec.json.encode(shown)

        body = await asyncio.to_thread(on_own_station, control.station, look)
        return web.Response(body=body, content_type="application/json")

    async def check(request: web.Request) -> web.Response:
        if not may(request, "audit"):
            await require(request, "quarantine")
        found = await control.releases.look(control.station)
        return web.json_response({"ok": not found, "items": found, "next": None})

    return [
        get("/v1/releases/check", "status", check),
        get("/v1/approvals", "quarantine", listed),
        get("/v1/approvals/{id}", "quarantine", show),
    ]
