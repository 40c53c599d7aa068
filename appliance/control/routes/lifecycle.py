"""/v1/damage and /v1/blocks: what a scrub withdrew, and what people have blocked."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance import clock, limits
from appliance.control.api import Control, act, audited, caller, delete, get, page, page_of, post
from appliance.lifecycle.scrub import damages
from appliance.observe.audit import AuditEvent
from appliance.store.writes.lifecycle import Block, Unblock
from bundles.errors import NotFoundError, UsageError
from bundles.oci.digest import ALGORITHMS, Digest
from bundles.oci.reference import Reference


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station = control.station

    async def damage(_: web.Request) -> web.Response:
        return web.json_response({"items": await asyncio.to_thread(damages, station), "next": None})

    async def blocks(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        rows = station.reader.execute(
            "SELECT digest, why, actor, created FROM blocks WHERE digest > ? ORDER BY digest LIMIT ?", (after, limit)
        )
        names = ("digest", "why", "actor", "created")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return page(found, limit, lambda entry: str(entry["digest"]))

    async def block(request: web.Request) -> web.Response:
        body, actor = await request.json(), caller(request)
        thing, why = str(body["thing"]), str(body["why"]).strip()
        digest = str(await audited(control, request, "block", thing, _digest(thing, why)))
        event = AuditEvent("block", actor, digest, "done", {"thing": thing, "why": why})
        await act(control, event, Block(digest=digest, why=why, actor=actor, at=clock.now()))
        return web.json_response({"digest": digest, "why": why}, status=201)

    async def unblock(request: web.Request) -> web.Response:
        digest = str(Digest.parse(request.match_info["digest"]))
        if not await act(control, AuditEvent("unblock", caller(request), digest), Unblock(digest=digest)):
            raise NotFoundError("nothing is blocked by that digest", thing=digest, remedy="see: lockgate block list")
        return web.json_response({"digest": digest})

    async def _digest(thing: str, why: str) -> Digest:
        if not why or len(why) > limits.REASON:
            raise UsageError("a block needs a reason", thing=thing, remedy=f"at most {limits.REASON} characters")
        if thing.partition(":")[0] in ALGORITHMS and "/" not in thing and "@" not in thing:
            return Digest.parse(thing)
        reference = Reference.parse(thing)
        if reference.digest is not None:
            return reference.digest
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
