"""/v1/upstreams: which registries a collection will ask, so that its client knows whose accounts it is to bring."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance.control.api import Control, post
from appliance.control.request_fields import body_of, malformed
from appliance.upstreams.accounts import place_of
from appliance.upstreams.upstream import Upstreams
from bundles import limits
from bundles.errors import UsageError
from bundles.oci.reference import check_registry


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station = control.station

    async def asked(request: web.Request) -> web.Response:
        references = (await body_of(request))["references"]
        if not isinstance(references, list) or not all(isinstance(text, str) for text in references):
            raise malformed("references", "it is no list of texts")
        found = await asyncio.to_thread(_places, references)
        return web.json_response({"items": [{"host": host, "repository": name} for host, name in found]})

    def _places(references: list[str]) -> list[tuple[str, str]]:
        upstreams = Upstreams(station.config, station.paths.root)
        found: dict[tuple[str, str], None] = {}
        for text in references:
            host, repository = place_of(text)
            check_registry(host)
            if len(repository) > limits.REPOSITORY_NAME:
                raise UsageError("malformed remote reference", thing=repr(text)[:280], remedy="it is too long")
            found |= dict.fromkeys(upstreams.mirrors(host, repository))
            found[upstreams.located(host, repository)] = None
        return list(found)

    return [post("/v1/upstreams", "collect", asked)]
