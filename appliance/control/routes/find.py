"""/v1/find: jump to anything by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from aiohttp import web

from appliance.control.api import Control, get, may
from appliance.control.request_fields import query_number
from appliance.control.visibility import shows

_FOUND: Final = 50


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def find(request: web.Request) -> web.Response:
        text = request.query.get("q", "").strip()
        limit = min(query_number(request, "limit", _FOUND), _FOUND)
        items = _content(control, text, limit, shows(request)) if text else []
        tables = [("intake", "intake")] if may(request, "quarantine") else []
        for kind, table in [*tables, ("job", "jobs")] if text else []:
            statement = f"SELECT id FROM {table} WHERE instr(id, ?) LIMIT ?"  # noqa: S608  two constants
            rows = control.station.reader.execute(statement, (text, limit))
            items += [{"kind": kind, "text": row[0], "ref": row[0]} for row in rows]
        return web.json_response({"items": items[:limit], "next": None})

    return [get("/v1/find", "status", find)]


def _content(control: Control, text: str, limit: int, shown: Callable[[str], bool]) -> list[dict[str, str]]:
    """Repositories and tags by part of the name, manifests by digest prefix; of repositories that are shown alone."""
    metadata = control.station.metadata
    found = [
        {"kind": "repository", "text": entry.name, "ref": entry.name}
        for entry in metadata.repositories(limit, "", text, shown)
    ]
    name, _, tag = text.partition(":")
    if shown(name) and metadata.repository_exists(name):
        refs = [f"{name}:{entry.tag}" for entry in metadata.tags(name, limit, "", tag)]
        found += [{"kind": "tag", "text": ref, "ref": ref} for ref in refs]
    hexes = text.removeprefix("sha256:").lower()
    if len(hexes) >= 4 and set(hexes) <= set("0123456789abcdef"):
        rows = control.station.reader.execute(
            "SELECT r.name, l.digest FROM links l JOIN repositories r ON r.id = l.repository_id"
            " WHERE l.kind = 'manifest' AND l.digest >= ? AND l.digest < ?",
            (f"sha256:{hexes}", f"sha256:{hexes}g"),
        )
        seen = itertools.islice((row for row in rows if shown(row[0])), limit)
        found += [{"kind": "digest", "text": digest, "ref": f"{name}@{digest}"} for name, digest in seen]
    return found
