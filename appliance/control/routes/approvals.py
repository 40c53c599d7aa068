"""/v1/approvals: what waits for people, for them to look at (decisions go to /v1/intake/{id}/approval); and
/v1/releases/check: whether what is shown was released."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.api.common import Page
from appliance.api.intake import Pending
from appliance.api.status import Released
from appliance.control import duties
from appliance.control.api import Control, answer, get, may, page_of, require
from appliance.control.threads import on_own_station
from appliance.intake import pending
from appliance.station import Station
from appliance.store.reads.caches import count_cached
from appliance.store.reads.intake import cursor, find_entry
from bundles.signing.keys import check_keyid


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def listed(request: web.Request) -> web.Response:
        limit, after, text = page_of(request)

        def look(own: Station) -> Page[Pending]:
            entries = pending.list_pending(own.reader, limit, after, text)
            more = cursor(entries[-1]) if len(entries) == limit else None
            return Page(tuple(pending.listed(own, entry) for entry in entries), more)

        return answer(await asyncio.to_thread(on_own_station, control.station, look))

    async def show(request: web.Request) -> web.Response:
        name, keyid = request.match_info["id"], request.query.get("keyid", "")
        if keyid:
            check_keyid(keyid)

        changes = duties.unshown(control)

        def look(own: Station) -> bytes:
            shown = pending.detail(own, find_entry(own.reader, name), keyid)
            return msgspec.json.encode(msgspec.structs.replace(shown, account_changes=changes))

        body = await asyncio.to_thread(on_own_station, control.station, look)
        return web.Response(body=body, content_type="application/json")

    async def check(request: web.Request) -> web.Response:
        if not may(request, "audit"):
            await require(request, "quarantine")
        found = await control.releases.look(control.station)
        return answer(Released(ok=not found, items=tuple(found), cached=count_cached(control.station.reader)))

    return [
        get("/v1/releases/check", "status", check),
        get("/v1/approvals", "quarantine", listed),
        get("/v1/approvals/{id}", "quarantine", show),
    ]
