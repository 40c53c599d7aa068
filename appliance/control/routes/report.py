"""GET /v1/report: what a week, a month or a quarter came to."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance.control.api import Control, answer, get
from appliance.control.report import DAYS, make
from appliance.control.request_fields import query_text
from appliance.control.routes.status import objective_states
from appliance.control.threads import on_own_station
from bundles.errors import UsageError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    turn = asyncio.Lock()

    async def report(request: web.Request) -> web.Response:
        period = query_text(request, "period")
        if period not in DAYS:
            raise UsageError("no such period", thing=repr(period)[:40], remedy=f"use {', '.join(DAYS)}")
        objectives, store = objective_states(control), control.totals.of(control.station)[1]
        async with turn:  # each reads the log
            made = await asyncio.to_thread(
                on_own_station, control.station, lambda own: make(own, period, objectives, store)
            )
        return answer(made)

    return [get("/v1/report", "audit", report)]
