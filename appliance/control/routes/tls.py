"""/v1/tls: the certificates that clients meet, and taking new ones."""

from __future__ import annotations

import asyncio
import os
import signal

from aiohttp import web

from appliance.access.certificate_alerts import expiries
from appliance.access.certificates import load, names_of
from appliance.access.tls import server_context
from appliance.api.common import Page
from appliance.api.status import Certificate
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, answer, audited, caller, get, post
from bundles.errors import UsageError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station = control.station

    def certificates() -> tuple[Certificate, ...]:
        return tuple(
            Certificate(
                name=entry.name,
                path=str(entry.path),
                not_after=entry.not_after,
                days=entry.days,
                names=tuple(names_of(load(entry.path))),
            )
            for entry in expiries(station.config, station.paths.root)
        )

    async def show(_: web.Request) -> web.Response:
        return answer(Page(await asyncio.to_thread(certificates)))

    async def reload(request: web.Request) -> web.Response:
        if station.config.open:
            raise UsageError(
                "an open station has no certificate",
                thing=station.config.site,
                remedy="close it to have one: lockgate close",
            )
        trying = asyncio.to_thread(server_context, station.config, station.paths)
        await audited(control, request, Act.TLS_RELOAD, station.config.site, trying)
        await control.record(AuditEvent(Act.TLS_RELOAD, caller(request), station.config.site))
        os.kill(os.getppid(), signal.SIGHUP)  # the supervisor passes it on to every worker
        return await show(request)

    return [
        get("/v1/tls", "status", show),
        post("/v1/tls/reload", "operate", reload),
    ]
