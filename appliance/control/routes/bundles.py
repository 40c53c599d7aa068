"""GET /v1/bundles: the bundles this station made."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from appliance.control.api import Control, get, page, page_of
from appliance.store.writes.jobs import FINAL_STATES

_NAMES: Final = ("id", "stream", "sequence", "digest", "state", "job_id", "created", "job_state")


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def listed(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        rows = control.station.reader.execute(
            "SELECT b.id, b.stream, b.sequence, b.digest, b.state, b.job_id, b.created, j.state FROM bundles_out b"
            " LEFT JOIN jobs j ON j.id = b.job_id WHERE b.id > ? ORDER BY b.id LIMIT ?",
            (after, limit),
        )
        found = [dict(zip(_NAMES, row, strict=True)) for row in rows]
        for entry in found:
            if entry["state"] == "to-sign" and entry["job_state"] in FINAL_STATES:
                entry["state"] = "voided"  # nobody will sign it; the stream's next build records that
        return page(found, limit, lambda entry: str(entry["id"]))

    return [get("/v1/bundles", "custody", listed)]
