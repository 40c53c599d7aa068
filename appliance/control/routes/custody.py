"""Custody and recall: what happens to a bundle between people and after its release.

/v1/intake/{id}/withdraw, /v1/custody, /v1/bundles/{id}/custody, /v1/recall.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from appliance import clock
from appliance.api.audit import CustodyBundle, CustodyRecord
from appliance.api.intake import Withdrawn
from appliance.api.recall import Recall
from appliance.audit.acts import Act
from appliance.audit.checkpoints import checkpoint
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, audited, caller, get, may, page, page_of, post, require
from appliance.control.request_fields import body_of, query_number, query_text
from appliance.control.threads import on_own_station
from appliance.custody import record as custody
from appliance.custody.deployed import deployed
from appliance.custody.recall import recall, still_shown
from appliance.intake.release import prepare_withdraw
from appliance.station import Station
from appliance.store.reads.custody import list_bundles
from appliance.store.reads.intake import find_entry
from appliance.store.reads.outgoing import built_bundle
from appliance.store.writes.custody import HandOver
from bundles.errors import NotFoundError, UsageError

_BUNDLE: Final = re.compile(r"[a-z0-9-]{1,32}\.[a-z0-9-]{1,32}-[0-9]{6}\Z")

_READ: Final = frozenset({Act.INTAKE_RECEIVE, Act.INTAKE_VERIFY, Act.INTAKE_IMPORT})
"""Acts on a bundle's own bytes."""


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def withdraw(request: web.Request) -> web.Response:
        entry, actor = find_entry(control.station.reader, request.match_info["id"]), caller(request)
        why = (await body_of(request)).text("why")
        preparing = asyncio.to_thread(
            on_own_station, control.station, lambda own: prepare_withdraw(own, entry, why, actor)
        )
        write = await audited(control, request, Act.INTAKE_WITHDRAW, entry.id, preparing)
        detail: dict[str, Any] = {"digest": entry.digest, "why": why}
        async with control.station.blobs.turns.alone():
            found = await asyncio.to_thread(on_own_station, control.station, lambda own: write.look(own.reader))
            stays, *more = [*found.told()] or [{}]
            if stays:
                detail["stays"] = stays  # no other event explains these links
            further = [
                AuditEvent(Act.INTAKE_LEFT, actor, entry.digest, "done", {"bundle": entry.id, "stays": part})
                for part in more
            ]
            write = msgspec.structs.replace(write, leaves=found.seal())
            event = AuditEvent(Act.INTAKE_WITHDRAW, actor, entry.id, "done", detail)
            gone = await act(control, event, write, further=further)
        still = await asyncio.to_thread(on_own_station, control.station, lambda own: still_shown(own.reader, write))
        return answer(Withdrawn(id=entry.id, withdrawn=tuple(gone), still_shown=tuple(still)))

    async def listed(request: web.Request) -> web.Response:
        limit, after, text = page_of(request)

        def look(own: Station) -> list[CustodyBundle]:
            return list_bundles(own.reader, limit, after, text)

        found = await asyncio.to_thread(on_own_station, control.station, look)
        return page(found, limit, lambda entry: str(entry.id))

    async def record(request: web.Request) -> web.Response:
        name = request.match_info["id"]
        document = await asyncio.to_thread(on_own_station, control.station, lambda own: _record(own, name))
        return answer(document)

    async def hand_over(request: web.Request) -> web.Response:
        name, actor = _bundle(request.match_info["id"]), caller(request)
        try:
            fields = msgspec.convert(await body_of(request), custody.HandOverFields, strict=True)
        except msgspec.ValidationError as error:
            raise UsageError("a malformed hand-over", thing=str(error)[:160]) from None
        custody.check_handover(fields)
        await asyncio.to_thread(on_own_station, control.station, lambda own: _may_exist(own, name))
        said = msgspec.structs.asdict(fields)
        write = HandOver(bundle=name, actor=actor, at=clock.now(), **said)
        await act(control, AuditEvent(Act.CUSTODY_HAND_OVER, actor, name, "done", said), write)
        return await record(request)

    async def recalled(request: web.Request) -> web.Response:
        thing = query_text(request, "thing")
        if not may(request, "policy"):  # an officer, who revokes and blocks, sees what that means
            await require(request, "audit")

        def look(own: Station) -> Recall:
            return recall(own.reader, own.paths, thing)

        return answer(await asyncio.to_thread(on_own_station, control.station, look))

    async def clusters(request: web.Request) -> web.Response:
        if not may(request, "policy"):
            await require(request, "audit")
        every = bool(query_number(request, "every", 0))
        return answer(await asyncio.to_thread(on_own_station, control.station, lambda own: deployed(own, every=every)))

    return [
        post("/v1/intake/{id}/withdraw", "withdraw", withdraw),
        get("/v1/custody", "custody", listed),
        get("/v1/bundles/{id}/custody", "custody", record),
        post("/v1/bundles/{id}/custody", "custody", hand_over),
        get("/v1/recall", "status", recalled),
        get("/v1/workloads", "status", clusters),
    ]


def _bundle(name: str) -> str:
    if _BUNDLE.match(name) is None:
        raise UsageError("not a bundle's id", thing=name[:80], remedy="it is STREAM-SEQUENCE, as alpha.bravo-000001")
    return name


def _may_exist(station: Station, name: str) -> None:
    """A bundle may pass through hands before it is brought in here; one of this station's own was made here. Raises
    NotFoundError."""
    if name.startswith(f"{station.config.site}.") and built_bundle(station.reader, name) is None:
        raise NotFoundError("no such bundle was made here", thing=name, remedy="see: lockgate bundle list")


def _record(station: Station, name: str) -> CustodyRecord:
    head = checkpoint(station.paths)
    try:
        entry = find_entry(station.reader, name)
    except NotFoundError:
        record = custody.record_of(station, _bundle(name), None, head)
        if not any((record.state, record.handovers, record.other)) and not any(map(_tells, record.events)):
            seen = "bundle list" if station.config.side == "outside" else "intake stream show"
            raise NotFoundError(
                "nothing is known of this bundle here", thing=name, remedy=f"see: lockgate {seen}"
            ) from None
        return record
    return custody.record_of(station, entry.id, entry, head)


def _tells(event: Mapping[str, Any]) -> bool:
    """Whether an event shows that there is such a bundle: what was refused or failed names whatever was typed, unless a
    medium was read for it."""
    return event["outcome"] == "done" or event["act"] in _READ
