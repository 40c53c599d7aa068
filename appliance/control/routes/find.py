"""/v1/find: jump to anything by name."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aiohttp import web

from appliance.api.common import Page
from appliance.api.content import FoundItem
from appliance.control.api import Control, answer, get, may
from appliance.control.request_fields import query_number
from appliance.control.visibility import shows
from appliance.store.reads import find
from appliance.store.reads.custody import list_bundles
from appliance.store.reads.repositories import find_repositories
from bundles.signing.trust import TrustRecord

_FOUND: Final = 50


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def found(request: web.Request) -> web.Response:
        text = request.query.get("q", "").strip()
        limit = min(query_number(request, "limit", _FOUND), _FOUND)
        if not text:
            return answer(Page[FoundItem](()))
        reader = control.station.reader
        intake = find.bundles(reader, text, limit) if may(request, "quarantine") else []
        groups = [
            *_content(control, text, limit, shows(request)),
            _named("intake", intake),
            _named("job", find.jobs(reader, text, limit)),
            _keys((await asyncio.to_thread(control.station.trust)).records, text, limit),
        ]
        if may(request, "custody"):
            known = (one.id for one in list_bundles(reader, limit, text=text) if one.id not in intake)
            groups.append(_named("bundle", known))
        if may(request, "account"):
            found = control.accounts.page(limit, text=text)
            groups.append(
                [FoundItem(kind="account", text=f"{one.name} {one.full_name}", ref=one.name) for one in found]
            )
        return answer(Page(tuple(shared(groups, limit))))

    return [get("/v1/find", "status", found)]


def shared(groups: Sequence[Sequence[FoundItem]], limit: int) -> list[FoundItem]:
    """At most `limit` of all groups, in their order: each gets its part, so that a hundred repositories hide no key."""
    found = [group for group in groups if group]
    part = max(limit // len(found), 1) if found else 0
    room = max(limit - sum(min(part, len(group)) for group in found), 0)
    taken: list[FoundItem] = []
    for group in found:
        more = min(max(len(group) - part, 0), room)
        room -= more
        taken += group[: part + more]
    return taken[:limit]


def _named(kind: str, names: Iterable[str]) -> list[FoundItem]:
    return [FoundItem(kind=kind, text=name, ref=name) for name in names]


def _keys(records: Sequence[TrustRecord], text: str, limit: int) -> list[FoundItem]:
    """Pinned keys by part of the owner's name or the key's id."""
    wanted = text.lower()
    found = (one for one in records if wanted in f"{one.keyid} {one.owner}".lower())
    return [
        FoundItem(kind="key", text=f"{one.owner} {one.keyid}", ref=one.keyid) for one in itertools.islice(found, limit)
    ]


def _content(control: Control, text: str, limit: int, shown: Callable[[str], bool]) -> list[list[FoundItem]]:
    """Repositories and tags by part of the name, manifests by digest prefix; of repositories that are shown alone."""
    metadata = control.station.metadata
    found = [
        FoundItem(kind="repository", text=entry.name, ref=entry.name)
        for entry in find_repositories(metadata.connection, limit, "", text, shown)
    ]
    tags, digests = list[FoundItem](), list[FoundItem]()
    name, _, tag = text.partition(":")
    if shown(name) and metadata.repository_exists(name):
        refs = [f"{name}:{entry.tag}" for entry in metadata.tags(name, limit, "", tag)]
        tags = _named("tag", refs)
    else:
        named = (f"{where}:{one}" for where, one in find.tags(control.station.reader, text) if shown(where))
        tags = _named("tag", itertools.islice(named, limit))
    hexes = text.removeprefix("sha256:").lower()
    if len(hexes) >= 4 and set(hexes) <= set("0123456789abcdef"):
        rows = find.manifests(control.station.reader, hexes)
        seen = itertools.islice((row for row in rows if shown(row[0])), limit)
        digests = [FoundItem(kind="digest", text=digest, ref=f"{name}@{digest}") for name, digest in seen]
    return [found, tags, digests]
