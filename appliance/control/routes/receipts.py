"""/v1/receipts: those that this station gave, and those that came back to it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from aiohttp import web

from appliance.api.bundles import Receipt
from appliance.api.common import Page
from appliance.audit.acts import Act
from appliance.control.api import Control, answer, audited, caller, get, page_of, post
from appliance.control.request_fields import body_of
from appliance.control.threads import on_own_station
from appliance.handles.params import take_document
from appliance.outgoing.delta_base import take_files
from appliance.station import Station
from appliance.store.reads.receipts import list_receipts
from bundles.errors import UsageError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def listed(request: web.Request) -> web.Response:
        limit, _, _ = page_of(request)

        def look(own: Station) -> tuple[Receipt, ...]:
            return tuple(Receipt(**asdict(one)) for one in list_receipts(own.reader, own.config.site, limit))

        return answer(Page(await asyncio.to_thread(on_own_station, control.station, look)))

    async def take(request: web.Request) -> web.Response:
        body, actor = await body_of(request), caller(request)
        files = take_document(body, "statement")
        if files is None:
            raise UsageError("no document was given", remedy="send the receipt or want-list as `statement`")
        taking = asyncio.to_thread(on_own_station, control.station, lambda own: take_files(own, files, actor))
        return answer(await audited(control, request, Act.RECEIPT_TAKE, files.name, taking))

    return [get("/v1/receipts", "receipt", listed), post("/v1/receipts", "receipt", take)]
