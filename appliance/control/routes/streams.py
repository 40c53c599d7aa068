"""/v1/streams, /v1/ledger and /v1/clock: where each stream stands, what came when, and the clock's floor."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from appliance import clock
from appliance.api import intake
from appliance.api.common import Page, Payload
from appliance.api.intake import ClockFloor, Differing, LedgerRow, Stream
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, audited, caller, get, page, page_of, post
from appliance.control.request_fields import body_of, number_in, query_number, query_text
from appliance.intake import overrides
from appliance.intake.stream_alarms import shut_streams
from appliance.station import open_station
from appliance.store.reads.decisions import own_clock_floor
from appliance.store.reads.ledger import ledger_after, stream_states
from appliance.store.reads.record_rows import restore_rows
from appliance.store.writes.intake import ResetStream
from appliance.store.writes.ledger import SayOverride, SetClockFloor
from bundles.documents.signed import Override
from bundles.errors import RefusedError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station = control.station

    async def streams(_: web.Request) -> web.Response:
        shut = shut_streams(station) if station.config.side == "inside" else {}
        items = [Stream(**asdict(one), shut=shut.pop(one.stream, "")) for one in stream_states(station.reader)]
        items += [
            Stream(stream=stream, direction="in", last_sequence=0, last_digest="", last_at="", shut=why)
            for stream, why in shut.items()
        ]
        return answer(Page(tuple(items)))

    async def ledger(request: web.Request) -> web.Response:
        limit, _, _ = page_of(request)
        stream = request.query.get("stream", "")
        after = query_number(request, "after", 0)
        found = [LedgerRow(**asdict(entry)) for entry in ledger_after(station.reader, after, limit, stream)]
        return page(found, limit, lambda entry: str(entry.entry))

    async def clock_floor(_: web.Request) -> web.Response:
        return answer(ClockFloor(now=clock.now(), **asdict(own_clock_floor(station.reader))))

    async def draft(request: web.Request) -> web.Response:
        subject, why = _subject(request, request.query), request.query.get("why", "")
        await asyncio.to_thread(overrides.check_source, station, subject.stream)
        payload = await asyncio.to_thread(overrides.draft, station, subject, query_text(request, "keyid"), why)
        return answer(Payload(payload=base64.b64encode(payload).decode()))

    async def say(request: web.Request) -> web.Response:
        body, actor = await body_of(request), caller(request)
        payload, signature = (body.raw(name) for name in ("payload", "signature"))
        stream, keyid = request.match_info["stream"], body.text("keyid")
        saying = asyncio.to_thread(_say, control, payload, keyid, signature, actor)
        write, override, others = await audited(control, request, Act.STREAM_OVERRIDE, stream, saying)
        if override.stream != stream:
            raise RefusedError("the override is for another stream", thing=override.stream, remedy="sign it anew")
        detail = {
            "act": override.act, "sequence": override.sequence, "digest": override.digest, "floor": override.floor,
            "why": override.why, "keyid": keyid, "owner": write.said.owner, "restore": _newest_restore(),
        }  # fmt: skip
        event = AuditEvent(Act.STREAM_OVERRIDE, actor, stream, "done", detail)
        resetting = AuditEvent(Act.STREAM_RESET, actor, stream, "done", {**detail, "why": write.why})
        people = await act(control, event, write, first=resetting if write.sets else None)
        return answer(
            intake.Override(
                stream=stream,
                people=people,
                needed=write.needed,
                differing=others,
                sequence=override.sequence,
                digest=override.digest,
                floor=override.floor,
            )
        )

    async def reset(request: web.Request) -> web.Response:
        """On an open station alone: one person's word, unsigned."""
        body, actor = await body_of(request), caller(request)
        subject, why = _subject(request, body), body.text("why")
        await audited(control, request, Act.STREAM_RESET, subject.stream, _check_alone(subject, why))
        event = AuditEvent(
            Act.STREAM_RESET, actor, subject.stream, "done",
            {**_of(subject), "why": why, "restore": _newest_restore()},
        )  # fmt: skip
        at = clock.now()
        if subject.floor:
            await act(
                control, event, SetClockFloor(floor=subject.floor, why=why, actor=actor, at=at, stream=subject.stream)
            )
        else:
            write = ResetStream(
                stream=subject.stream, sequence=subject.sequence, digest=subject.digest, why=why, actor=actor, at=at
            )
            await act(control, event, write)
        return answer(intake.Override(people=1, needed=1, **_of(subject)))

    def _newest_restore() -> str:
        """The time of the restore that shut imports last, "" for none: the event of a floor says since which one the
        stream is open."""
        rows = restore_rows(station.reader)
        return rows[-1].created if rows else ""

    async def _check_alone(subject: overrides.Subject, why: str) -> None:
        overrides.check(station, subject, why)
        await asyncio.to_thread(overrides.check_source, station, subject.stream)
        if not station.config.open:
            raise RefusedError(
                "a reset takes two people",
                thing=subject.stream,
                remedy="each signs it with their own key: give --key",
            )

    return [
        get("/v1/streams", "custody", streams),
        get("/v1/streams/{stream}/override", "reset", draft),
        post("/v1/streams/{stream}/override", "reset", say),
        post("/v1/streams/{stream}/reset", "reset", reset),
        get("/v1/ledger", "custody", ledger),
        get("/v1/clock", "custody", clock_floor),
    ]


def _subject(request: web.Request, fields: Mapping[str, Any]) -> overrides.Subject:
    return overrides.Subject(
        stream=request.match_info["stream"],
        sequence=number_in(fields, "sequence", 0),
        digest=str(fields.get("digest") or ""),
        floor=str(fields.get("floor") or ""),
    )


def _of(subject: overrides.Subject) -> dict[str, Any]:
    return {"stream": subject.stream, "sequence": subject.sequence, "digest": subject.digest, "floor": subject.floor}


def _say(
    control: Control, payload: bytes, keyid: str, signature: bytes, actor: str
) -> tuple[SayOverride, Override, tuple[Differing, ...]]:
    """`overrides.say` and `overrides.differing` off the event loop, on connections of this thread's own."""
    station = open_station(control.station.paths.root, control.station.writer, control.station.config)
    try:
        write, override = overrides.say(station, payload, keyid, signature, actor)
        return write, override, overrides.differing(station, override, keyid)
    finally:
        station.metadata.close()
        station.reader.close()
