"""GET /v1/metrics: what monitoring reads."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance.control.api import Control, get
from appliance.control.routes.gauges import counted, gauges
from appliance.control.threads import on_own_station
from appliance.metrics import CONTENT_TYPE, render


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def metrics(_: web.Request) -> web.Response:
        return await answer(control)

    return [get("/v1/metrics", "status", metrics)]


async def answer(control: Control) -> web.Response:
    """The metrics as text."""
    await asyncio.to_thread(control.station.blobs.graveyard.totals)  # so that `describe` finds it counted
    found = gauges(control)
    found |= await asyncio.to_thread(on_own_station, control.station, lambda own: counted(own, control))
    text = await asyncio.to_thread(render, found, control.measures.slots)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
