"""/v1/receipts: those that this station gave, and those that came back to it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from appliance.audit.acts import Act
from appliance.control.api import Control, audited, caller, get, page_of, post
from appliance.control.request_fields import body_of
from appliance.control.threads import on_own_station
from appliance.handles.params import take_document
from appliance.outgoing.delta_base import take_files
from appliance.station import Station
from bundles.errors import UsageError

_LISTED: Final = (
    "SELECT 'out', ?, number, digest, created, created, coalesce(json_extract(document, '$.head'), '') FROM receipts"
    " UNION ALL SELECT 'in', site, number, digest, created, taken, coalesce((SELECT head FROM custody_taken c"
    " WHERE c.site = t.site AND c.number = t.number LIMIT 1), '') FROM receipts_taken t ORDER BY 5 DESC, 3 DESC LIMIT ?"
)
_NAMES: Final = ("direction", "site", "number", "digest", "created", "at", "head")


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def listed(request: web.Request) -> web.Response:
        limit, _, _ = page_of(request)

        def look(own: Station) -> list[dict[str, Any]]:
            rows = own.reader.execute(_LISTED, (own.config.site, limit))
            return [dict(zip(_NAMES, row, strict=True)) for row in rows]

        items = await asyncio.to_thread(on_own_station, control.station, look)
        return web.json_response({"items": items, "next": None})

    async def take(request: web.Request) -> web.Response:
        body, actor = await body_of(request), caller(request)
        files = take_document(body, "statement")
        if files is None:
            raise UsageError("no document was given", remedy="send the receipt or want-list as `statement`")
        taking = asyncio.to_thread(on_own_station, control.station, lambda own: take_files(own, files, actor))
        return web.json_response(await audited(control, request, Act.RECEIPT_TAKE, files.name, taking))

    return [get("/v1/receipts", "receipt", listed), post("/v1/receipts", "receipt", take)]
