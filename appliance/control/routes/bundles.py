"""GET /v1/bundles: the bundles this station made."""

from __future__ import annotations

from aiohttp import web

from appliance.control.api import Control, get, page, page_of
from appliance.store.reads import bundles_out


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def listed(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        return page(bundles_out.listed(control.station.reader, limit, after), limit, lambda entry: str(entry.id))

    return [get("/v1/bundles", "custody", listed)]
