"""/v1/find: jump to anything by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from aiohttp import web

from appliance.api.common import Page
from appliance.api.content import FoundItem
from appliance.control.api import Control, answer, get, may
from appliance.control.request_fields import query_number
from appliance.control.visibility import shows
from appliance.store.reads import find

_FOUND: Final = 50


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def found(request: web.Request) -> web.Response:
        text = request.query.get("q", "").strip()
        limit = min(query_number(request, "limit", _FOUND), _FOUND)
        items = _content(control, text, limit, shows(request)) if text else []
        if text and may(request, "quarantine"):
            names = find.bundles(control.station.reader, text, limit)
            items += [FoundItem(kind="intake", text=name, ref=name) for name in names]
        if text:
            jobs = find.jobs(control.station.reader, text, limit)
            items += [FoundItem(kind="job", text=name, ref=name) for name in jobs]
        return answer(Page(tuple(items[:limit])))

    return [get("/v1/find", "status", found)]


def _content(control: Control, text: str, limit: int, shown: Callable[[str], bool]) -> list[FoundItem]:
    """Repositories and tags by part of the name, manifests by digest prefix; of repositories that are shown alone."""
    metadata = control.station.metadata
    found = [
        FoundItem(kind="repository", text=entry.name, ref=entry.name)
        for entry in metadata.repositories(limit, "", text, shown)
    ]
    name, _, tag = text.partition(":")
    if shown(name) and metadata.repository_exists(name):
        refs = [f"{name}:{entry.tag}" for entry in metadata.tags(name, limit, "", tag)]
        found += [FoundItem(kind="tag", text=ref, ref=ref) for ref in refs]
    hexes = text.removeprefix("sha256:").lower()
    if len(hexes) >= 4 and set(hexes) <= set("0123456789abcdef"):
        rows = find.manifests(control.station.reader, hexes)
        seen = itertools.islice((row for row in rows if shown(row[0])), limit)
        found += [FoundItem(kind="digest", text=digest, ref=f"{name}@{digest}") for name, digest in seen]
    return found
