"""/v1/trust, /v1/keys: pinned keys and rules, and the station's own keys."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from appliance.control.api import Control, get
from appliance.known_keys import own_keys


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    paths = control.station.paths

    async def trust(_: web.Request) -> web.Response:
        folder = await asyncio.to_thread(control.station.trust)
        items = [
            {
                "keyid": record.keyid,
                "purposes": list(record.purposes),
                "owner": record.owner,
                "sites": list(record.sites),
                "algorithm": record.key.algorithm,
                "not_before": record.not_before,
                "not_after": record.not_after,
                "revoked": None if record.revoked is None else {"at": record.revoked.at, "why": record.revoked.why},
                "fingerprint": record.key.fingerprint,
            }
            for record in folder.records
        ]
        return web.json_response({"items": items, "next": None})

    async def rules(_: web.Request) -> web.Response:
        folder = await asyncio.to_thread(control.station.trust)
        return web.json_response({"items": [msgspec.to_builtins(rule) for rule in folder.policy.rules], "next": None})

    def own() -> list[dict[str, Any]]:
        return [
            {
                "name": own.name,
                "keyid": own.key.keyid,
                "algorithm": own.key.algorithm,
                "encrypted": own.encrypted,
                "station": own.station,
            }
            for own in own_keys(paths)
        ]

    async def keys(_: web.Request) -> web.Response:
        return web.json_response({"items": await asyncio.to_thread(own), "next": None})

    return [
        get("/v1/trust", "status", trust),
        get("/v1/trust/rules", "status", rules),
        get("/v1/keys", "status", keys),
    ]
