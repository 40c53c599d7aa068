"""/v1/audit: what happened on the station, a page at a time, and whether its record holds."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from aiohttp import web

from appliance.api.audit import Checked
from appliance.api.common import Page
from appliance.api.states import AUDIT_FILTERS
from appliance.api.status import Head
from appliance.audit.acts import Act
from appliance.audit.checkpoints import checkpoint, last_checkpoint, verify_log
from appliance.audit.event import AuditEvent, Outcome
from appliance.audit.query import Query, find_events
from appliance.control.api import Control, answer, caller, get, page_of
from bundles.documents.audit_log import check_head
from bundles.errors import LockgateError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station, paths = control.station, control.station.paths

    async def events(request: web.Request) -> web.Response:
        limit, after, text = page_of(request)
        query = Query(text=text, **{name: request.query.get(name, "") for name in AUDIT_FILTERS})
        found, more = await asyncio.to_thread(find_events, paths.audit, limit, query, after)
        return answer(Page(tuple(found), more or None))

    async def head(_: web.Request) -> web.Response:
        return answer(msgspec.convert(await asyncio.to_thread(last_checkpoint, paths.audit), Head))

    async def check(request: web.Request) -> web.Response:
        expected = request.query.get("expect_head", "")
        if expected:
            check_head(expected)
        with contextlib.suppress(LockgateError):  # a last checkpoint that is not this station's is a finding below
            await asyncio.to_thread(checkpoint, paths)
        found = await asyncio.to_thread(verify_log, paths, station.config.site, expected)
        document = msgspec.convert(found.to_json() | {"head_expected": expected or None}, Checked)
        outcome: Outcome = "failed" if found.findings else "done"
        detail = {"events": found.events, "head": found.head, "findings": len(found.findings)}
        await control.record(AuditEvent(Act.AUDIT_VERIFY, caller(request), station.config.site, outcome, detail))
        return answer(document)

    return [
        get("/v1/audit", "audit", events),
        get("/v1/audit/head", "audit", head),
        get("/v1/audit/check", "audit", check),
    ]
