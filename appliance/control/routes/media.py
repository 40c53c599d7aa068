"""GET /v1/media: what is mounted; GET /v1/deltas: what each inside is known to hold; /v1/kept and /v1/wants: what
deltas stand on here, and what was asked for again; and voiding a lost bundle."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import msgspec
from aiohttp import web

from appliance import clock
from appliance.api.bundles import Delta, MadeReceipt, Medium, VoidedBundle, Want
from appliance.api.common import Page
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, audited, caller, get, page, page_of, post
from appliance.control.handle_socket import peer_person
from appliance.control.request_fields import NUMBER, body_of, query_number
from appliance.handles.rights import READ, SEARCH
from appliance.handles.rights import may as may_use
from appliance.limits import intake as limits
from appliance.mounts import mounted_media
from appliance.store.reads.deltas import delta_streams, taken_want_lists
from appliance.store.reads.receipts import given_receipts
from appliance.store.reads.voiding import check_own_bundle, require_voidable
from appliance.store.writes.deltas import VoidBundle
from bundles.errors import UsageError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def media(request: web.Request) -> web.Response:
        person = peer_person(request)

        def may_list(descriptor: int) -> bool:
            return may_use(person, descriptor, READ | SEARCH)

        found = await asyncio.to_thread(lambda: mounted_media(may_list=may_list))
        return answer(Page(tuple(msgspec.convert(one, Medium, from_attributes=True) for one in found)))

    async def deltas(_: web.Request) -> web.Response:
        return answer(Page(tuple(Delta(**asdict(stream)) for stream in delta_streams(control.station.reader))))

    async def receipts(request: web.Request) -> web.Response:
        limit, _, _ = page_of(request)
        given = given_receipts(control.station.reader, query_number(request, "after", NUMBER), limit)
        items = [MadeReceipt(**asdict(receipt)) for receipt in given]
        return page(items, limit, lambda entry: str(entry.number))

    async def wants(_: web.Request) -> web.Response:
        return answer(Page(tuple(Want(**asdict(want)) for want in taken_want_lists(control.station.reader))))

    async def void(request: web.Request) -> web.Response:
        body, actor, name = await body_of(request), caller(request), request.match_info["id"]
        why, with_later = body.text("why", ""), body.flag("with_later")
        await audited(control, request, Act.BUNDLE_VOID, name, _check(why, name, with_later))
        event = AuditEvent(Act.BUNDLE_VOID, actor, name, "done", {"why": why})
        voided = await act(control, event, VoidBundle(id=name, at=clock.now(), why=why, with_later=with_later))
        return answer(VoidedBundle(voided=voided))

    async def _check(why: str, name: str, with_later: bool) -> None:
        if not why.strip() or len(why) > limits.REASON:
            raise UsageError("voiding a bundle needs a reason", thing=name, remedy="give --why")
        check_own_bundle(name, control.station.config.site)
        require_voidable(control.station.reader, name, with_later=with_later)

    return [
        get("/v1/media", "media", media),
        get("/v1/deltas", "build", deltas),
        get("/v1/kept", "receipt", receipts),
        get("/v1/wants", "build", wants),
        post("/v1/bundles/{id}/void", "build", void),
    ]
