"""GET /v1/bundles: the bundles this station made."""

from __future__ import annotations

from aiohttp import web

from appliance.control.api import Control, page, page_of


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def listed(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        rows = control.station.reader.execute(
            "SELECT id, stream, sequence, digest, state, job_id, created FROM bundles_out"
            " WHERE id > ? ORDER BY id LIMIT ?",
            (after, limit),
        )
        names = ("id", "stream", "sequence", "digest", "state", "job_id", "created")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return page(found, limit, lambda entry: str(entry["id"]))

    return [web.get("/v1/bundles", listed)]
