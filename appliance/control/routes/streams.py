"""/v1/streams and /v1/ledger: where each stream stands, and what came when."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from appliance import clock, limits
from appliance.control.api import Control, act, audited, caller, get, page, page_of, post
from appliance.observe.audit import AuditEvent
from appliance.store.writes.intake import ResetStream
from bundles.errors import RefusedError, UsageError
from bundles.oci.reference import check_site

_STREAMS: Final = (
    "SELECT stream, 'in', sequence, digest, created, (SELECT count(*) FROM ledger l WHERE l.stream = o.stream)"
    " FROM ledger o WHERE entry = (SELECT entry FROM ledger l WHERE l.stream = o.stream"
    " ORDER BY sequence DESC, entry DESC LIMIT 1)"
    " UNION ALL SELECT stream, 'out', sequence, digest, created,"
    " (SELECT count(*) FROM bundles_out b WHERE b.stream = o.stream)"
    " FROM bundles_out o WHERE sequence = (SELECT max(sequence) FROM bundles_out b WHERE b.stream = o.stream)"
    " ORDER BY stream"
)


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station, read = control.station, control.station.reader.execute

    async def streams(_: web.Request) -> web.Response:
        items = [
            {"stream": stream, "direction": way, "last_sequence": last, "last_digest": digest or "",
             "last_at": at, "entries": count}
            for stream, way, last, digest, at, count in read(_STREAMS)
        ]  # fmt: skip
        return web.json_response({"items": items, "next": None})

    async def ledger(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        stream = request.query.get("stream", "")
        rows = read(
            "SELECT entry, stream, sequence, digest, id, state, why, created, actor FROM ledger"
            " WHERE entry > ? AND (? = '' OR stream = ?) ORDER BY entry LIMIT ?",
            (int(after or "0"), stream, stream, limit),
        )
        names = ("entry", "stream", "sequence", "digest", "id", "state", "why", "created", "actor")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return page(found, limit, lambda entry: str(entry["entry"]))

    async def reset(request: web.Request) -> web.Response:
        body, actor = await request.json(), caller(request)
        stream, sequence, why = request.match_info["stream"], int(body["sequence"]), str(body["why"])
        await audited(control, request, "stream.reset", stream, _check_reset(stream, sequence, why))
        event = AuditEvent("stream.reset", actor, stream, "done", {"sequence": sequence, "why": why})
        await act(control, event, ResetStream(stream=stream, sequence=sequence, why=why, actor=actor, at=clock.now()))
        return web.json_response({"stream": stream, "sequence": sequence})

    async def _check_reset(stream: str, sequence: int, why: str) -> None:
        source, _, destination = stream.partition(".")
        check_site(source)
        if destination != station.config.site:
            raise UsageError("not a stream to this site", thing=stream, remedy=f"write SOURCE.{station.config.site}")
        if not why.strip() or len(why) > limits.REASON or not 0 <= sequence <= 999_999:
            raise UsageError("a reset needs a reason and a sequence", thing=stream, remedy="give --sequence and --why")
        if not station.config.open:
            raise RefusedError("a reset takes two people", thing=stream, remedy="only an open station allows one alone")

    return [
        get("/v1/streams", "status", streams),
        post("/v1/streams/{stream}/reset", "reset", reset),
        get("/v1/ledger", "status", ledger),
    ]
