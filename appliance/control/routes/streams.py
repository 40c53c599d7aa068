"""/v1/streams and /v1/ledger: where each stream stands, and what came when."""

from __future__ import annotations

from aiohttp import web

from appliance import clock
from appliance.control.api import Control, audited, caller, page, page_of
from appliance.observe.audit import AuditEvent
from appliance.store.writes.intake import ResetStream
from bundles.errors import RefusedError, UsageError
from bundles.oci.reference import check_site


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station, read = control.station, control.station.reader.execute

    async def streams(_: web.Request) -> web.Response:
        incoming = read(
            "SELECT stream, 'in', max(sequence), count(*), max(created) FROM ledger GROUP BY stream ORDER BY stream"
        ).fetchall()
        outgoing = read(
            "SELECT stream, 'out', max(sequence), count(*), max(created) FROM bundles_out"
            " GROUP BY stream ORDER BY stream"
        ).fetchall()
        items = [
            {"stream": stream, "direction": way, "last_sequence": last, "entries": count, "last_at": at,
             "last_digest": _last_digest(control, stream, way, last)}
            for stream, way, last, count, at in (*incoming, *outgoing)
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
        await audited(control, request, "stream.reset", stream, _reset(control, stream, sequence, why, actor))
        detail = {"sequence": sequence, "why": why}
        await control.record(AuditEvent("stream.reset", actor, stream, "done", detail))
        return web.json_response({"stream": stream, "sequence": sequence})

    async def _reset(control: Control, stream: str, sequence: int, why: str, actor: str) -> None:
        source, _, destination = stream.partition(".")
        check_site(source)
        if destination != station.config.site:
            raise UsageError("not a stream to this site", thing=stream, remedy=f"write SOURCE.{station.config.site}")
        if not why.strip() or not 0 <= sequence <= 999_999:
            raise UsageError("a reset needs a reason and a sequence", thing=stream, remedy="give --sequence and --why")
        if not station.config.open:
            raise RefusedError("a reset takes two people", thing=stream, remedy="only an open station allows one alone")
        await control.writer.submit(ResetStream(stream=stream, sequence=sequence, why=why, actor=actor, at=clock.now()))

    return [
        web.get("/v1/streams", streams),
        web.post("/v1/streams/{stream}/reset", reset),
        web.get("/v1/ledger", ledger),
    ]


def _last_digest(control: Control, stream: str, way: str, sequence: int) -> str:
    table = "ledger" if way == "in" else "bundles_out"
    row = control.station.reader.execute(
        f"SELECT digest FROM {table} WHERE stream = ? AND sequence = ? LIMIT 1",  # noqa: S608  two constants
        (stream, sequence),
    ).fetchone()
    return str(row[0] or "") if row else ""
