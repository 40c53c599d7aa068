"""/v1/damage and /v1/blocks: what a scrub withdrew, and what people have blocked."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import asdict

from aiohttp import web
from msgspec.structs import replace

from appliance import clock
from appliance.api import content
from appliance.api.content import Blocked, Damage, Unblocked
from appliance.api.recall import Recall
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, audited, caller, delete, get, may, page, page_of, post, require
from appliance.control.request_fields import body_of
from appliance.control.threads import on_own_station
from appliance.control.visibility import shows
from appliance.custody.recall import recall
from appliance.lifecycle.damage import damages, unread
from appliance.limits import intake as limits
from appliance.station import Station
from appliance.store.reads.blocks import blocks_after
from appliance.store.reads.content import Kind
from appliance.store.writes.lifecycle import Block, Unblock
from bundles.errors import NotFoundError, UsageError
from bundles.oci.digest import ALGORITHMS, Digest
from bundles.oci.reference import Reference


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station = control.station

    async def damage(request: web.Request) -> web.Response:
        """All of it for whoever looks after the store, else what they may pull; bundles for who has to do with them."""
        found, shown = await asyncio.to_thread(damages, station), shows(request)
        if not may(request, "operate"):
            seen = (tuple(ref for ref in one.shown if shown(Reference.parse(ref).repository)) for one in found)
            found = [replace(one, shown=refs) for one, refs in zip(found, seen, strict=True) if refs]
            if not may(request, "custody"):
                found = [replace(one, bundles=()) for one in found]
        errors = await asyncio.to_thread(unread, station) if may(request, "operate") else []
        return answer(Damage(items=tuple(found), unread=tuple(errors)))

    async def blocks(request: web.Request) -> web.Response:
        """All of them for whoever may change them, else those of content in repositories that one may pull."""
        limit, after, _ = page_of(request)
        rows, everything = blocks_after(station.reader, after), may(request, "policy")
        seen = itertools.islice((one for one in rows if everything or _shown(request, one.digest)), limit)
        found = [content.Block(**asdict(one)) for one in seen]
        return page(found, limit, lambda entry: str(entry.digest))

    async def block(request: web.Request) -> web.Response:
        body, actor = await body_of(request), caller(request)
        thing, why = body.text("thing"), body.text("why").strip()
        digest = str(await audited(control, request, Act.BLOCK, thing, _digest(request, thing, why)))
        at = clock.now()
        event = AuditEvent(Act.BLOCK, actor, digest, "done", {"thing": thing, "why": why, "at": at})
        await act(control, event, Block(digest=digest, why=why, actor=actor, at=at))
        found = await asyncio.to_thread(on_own_station, control.station, lambda own: _recall(own, digest))
        return answer(Blocked(digest=digest, why=why, recall=found), status=201)

    async def unblock(request: web.Request) -> web.Response:
        digest = str(Digest.parse(request.match_info["digest"]))
        if not await act(control, AuditEvent(Act.UNBLOCK, caller(request), digest), Unblock(digest=digest)):
            raise NotFoundError("nothing is blocked by that digest", thing=digest, remedy="see: lockgate block list")
        return answer(Unblocked(digest=digest))

    def _shown(request: web.Request, digest: str) -> bool:
        kinds: tuple[Kind, ...] = ("manifest", "blob")
        found = (station.metadata.shown_anywhere(Digest.parse(digest), kind, -1) for kind in kinds)
        return any(map(shows(request), itertools.chain.from_iterable(found)))

    async def _digest(request: web.Request, thing: str, why: str) -> Digest:
        if not why or len(why) > limits.REASON:
            raise UsageError("a block needs a reason", thing=thing, remedy=f"at most {limits.REASON} characters")
        if thing.partition(":")[0] in ALGORITHMS and "/" not in thing and "@" not in thing:
            return Digest.parse(thing)
        reference = Reference.parse(thing)
        if reference.digest is not None:
            return reference.digest
        await require(request, "pull", reference.repository)
        facts = station.metadata.tagged_manifest(reference.repository, reference.tag or "")
        if facts is None:
            raise NotFoundError("no such artifact", thing=thing, remedy="see: lockgate repo list")
        return facts.digest

    return [
        get("/v1/damage", "status", damage),
        get("/v1/blocks", "status", blocks),
        post("/v1/blocks", "policy", block),
        delete("/v1/blocks/{digest}", "policy", unblock),
    ]


def _recall(station: Station, digest: str) -> Recall | None:
    try:
        return recall(station.reader, station.paths, digest)
    except NotFoundError:
        return None
