"""end-1: whether this is a registry, and whether the caller may use it at all (specification: Determining Support)."""

from __future__ import annotations

from aiohttp import web

from appliance.registry.call import Call


async def support(call: Call) -> web.StreamResponse:
    """GET and HEAD `/v2/`: 200 with an empty object."""
    call.require("list")
    return web.Response(body=b"{}", content_type="application/json")
