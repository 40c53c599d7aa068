"""GET /v1/media: what is mounted; GET /v1/deltas: what each inside is known to hold; /v1/kept and /v1/wants: what
deltas stand on here, and what was asked for again; and voiding a lost bundle."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import web

from appliance import clock, limits
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, audited, caller, get, page, page_of, post
from appliance.control.handle_socket import peer_person
from appliance.control.request_fields import NUMBER, body_of, query_number
from appliance.handles.rights import READ, SEARCH
from appliance.handles.rights import may as may_use
from appliance.mounts import mounted_media
from appliance.store.reads.voiding import require_voidable
from appliance.store.writes.deltas import VoidBundle
from bundles.errors import UsageError

_DELTAS: Final = (
    "SELECT s.stream, s.last_sequence, r.number, r.created, r.taken, r.inventory,"
    " (SELECT h.sequence FROM receipt_heads h WHERE h.site = r.site AND h.stream = s.stream),"
    " (SELECT count(*) FROM known_inside k WHERE k.site = r.site),"
    " (SELECT coalesce(sum(size), 0) FROM known_inside k WHERE k.site = r.site),"
    " (SELECT count(DISTINCT c.digest) FROM carried_out c WHERE c.stream = s.stream),"
    " (SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT c.digest, c.size FROM carried_out c"
    " WHERE c.stream = s.stream)),"
    " (SELECT count(*) FROM wants_taken w JOIN bundles_out b ON b.id = w.bundle WHERE b.stream = s.stream),"
    " (SELECT max(b.created) FROM bundles_out b WHERE b.stream = s.stream)"
    " FROM streams_out s LEFT JOIN receipts_taken r ON r.site = substr(s.stream, instr(s.stream, '.') + 1)"
    " ORDER BY s.stream"
)
_NAMES: Final = (
    "stream", "last_sequence", "receipt", "receipt_created", "receipt_taken", "inventory", "confirmed_sequence",
    "confirmed_blobs", "confirmed_bytes", "carried_blobs", "carried_bytes", "want_lists", "last_at",
)  # fmt: skip


_RECEIPTS: Final = (
    "SELECT r.number, r.digest, r.created,"
    " (SELECT count(*) FROM pins p WHERE p.bundle = 'receipt:' || r.number),"
    " (SELECT coalesce(sum(b.size), 0) FROM pins p JOIN blobs b ON b.digest = p.digest"
    " WHERE p.bundle = 'receipt:' || r.number),"
    " (SELECT group_concat(s.stream, ' ') FROM stream_bases s WHERE s.receipt = r.number)"
    " FROM receipts r WHERE r.number < ? ORDER BY r.number DESC LIMIT ?"
)
_RECEIPT_NAMES: Final = ("number", "digest", "created", "pinned_blobs", "pinned_bytes", "streams")
_WANTS: Final = (
    "SELECT w.digest, w.bundle, coalesce(b.stream, ''), w.taken FROM wants_taken w"
    " LEFT JOIN bundles_out b ON b.id = w.bundle ORDER BY w.taken DESC, w.digest"
)


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def media(request: web.Request) -> web.Response:
        person = peer_person(request)

        def may_list(descriptor: int) -> bool:
            return may_use(person, descriptor, READ | SEARCH)

        found = await asyncio.to_thread(lambda: mounted_media(may_list=may_list))
        return web.json_response({"items": msgspec.to_builtins(found), "next": None})

    async def deltas(_: web.Request) -> web.Response:
        items: list[dict[str, Any]] = []
        for row in control.station.reader.execute(_DELTAS):
            entry = dict(zip(_NAMES, row, strict=True))
            items.append(entry | {"inventory": bool(entry["inventory"])})
        return web.json_response({"items": items, "next": None})

    async def receipts(request: web.Request) -> web.Response:
        limit, _, _ = page_of(request)
        items: list[dict[str, Any]] = []
        for row in control.station.reader.execute(_RECEIPTS, (query_number(request, "after", NUMBER), limit)):
            entry = dict(zip(_RECEIPT_NAMES, row, strict=True))
            items.append(entry | {"streams": (entry["streams"] or "").split()})
        return page(items, limit, lambda entry: str(entry["number"]))

    async def wants(_: web.Request) -> web.Response:
        names = ("digest", "bundle", "stream", "taken")
        items = [dict(zip(names, row, strict=True)) for row in control.station.reader.execute(_WANTS)]
        return web.json_response({"items": items, "next": None})

    async def void(request: web.Request) -> web.Response:
        body, actor, name = await body_of(request), caller(request), request.match_info["id"]
        why, with_later = body.text("why", ""), body.flag("with_later")
        await audited(control, request, Act.BUNDLE_VOID, name, _check(why, name, with_later))
        event = AuditEvent(Act.BUNDLE_VOID, actor, name, "done", {"why": why})
        voided = await act(control, event, VoidBundle(id=name, at=clock.now(), why=why, with_later=with_later))
        return web.json_response({"voided": voided})

    async def _check(why: str, name: str, with_later: bool) -> None:
        if not why.strip() or len(why) > limits.REASON:
            raise UsageError("voiding a bundle needs a reason", thing=name, remedy="give --why")
        require_voidable(control.station.reader, name, with_later=with_later)

    return [
        get("/v1/media", "media", media),
        get("/v1/deltas", "build", deltas),
        get("/v1/kept", "receipt", receipts),
        get("/v1/wants", "build", wants),
        post("/v1/bundles/{id}/void", "build", void),
    ]
