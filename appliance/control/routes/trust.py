"""/v1/trust, /v1/keys: pinned keys and rules, and the station's own keys."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance.api.common import Page
from appliance.api.trust import OwnKey, Revoked, TrustedKey
from appliance.control.api import Control, answer, get
from appliance.known_keys import own_keys
from bundles.signing.trust import TrustRecord


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    paths = control.station.paths

    async def trust(_: web.Request) -> web.Response:
        folder = await asyncio.to_thread(control.station.trust)
        return answer(Page(tuple(map(_described, folder.records))))

    async def rules(_: web.Request) -> web.Response:
        folder = await asyncio.to_thread(control.station.trust)
        return answer(Page(tuple(folder.policy.rules)))

    def own() -> Page[OwnKey]:
        return Page(
            tuple(
                OwnKey(
                    name=own.name,
                    keyid=own.key.keyid,
                    algorithm=own.key.algorithm,
                    encrypted=own.encrypted,
                    station=own.station,
                )
                for own in own_keys(paths)
            )
        )

    async def keys(_: web.Request) -> web.Response:
        return answer(await asyncio.to_thread(own))

    return [
        get("/v1/trust", "status", trust),
        get("/v1/trust/rules", "status", rules),
        get("/v1/keys", "status", keys),
    ]


def _described(record: TrustRecord) -> TrustedKey:
    revoked = record.revoked
    return TrustedKey(
        keyid=record.keyid,
        purposes=tuple(record.purposes),
        owner=record.owner,
        sites=tuple(record.sites),
        algorithm=record.key.algorithm,
        not_before=record.not_before,
        not_after=record.not_after,
        revoked=None if revoked is None else Revoked(at=revoked.at, why=revoked.why),
        fingerprint=record.key.fingerprint,
    )
