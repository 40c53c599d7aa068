"""/v1/jobs: follow work, sign for it, cancel it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
from typing import Final

from aiohttp import web

from appliance import clock
from appliance.api.states import JOB_STATES, WRONG_STATES
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.control.api import Control, act, audited, caller, get, may, page, page_of, post, require
from appliance.control.request_fields import body_of, query_number
from appliance.control.visibility import concerned, job_view, sees
from appliance.jobs.documents import Job
from appliance.jobs.kinds import kind_of
from appliance.jobs.runner import USAGE
from appliance.jobs.signatures import PAYLOAD
from appliance.store.writes.jobs import DismissJob
from bundles.errors import RefusedError, UsageError

_HEARTBEAT: Final = 5.0
_PAUSE: Final = 0.2
"""Seconds between two events of one watcher: five a second are enough for an eye and kind to a serial line."""

_LOG_CHUNK: Final = 256 * 1024


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    jobs = control.jobs

    async def listed(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        state = request.query.get("state", "")
        if state and state not in JOB_STATES:
            raise UsageError("no such state", thing=repr(state)[:40], remedy=f"use one of {', '.join(JOB_STATES)}")
        found = [job_view(request, job) for job in jobs.list(limit, after, state)]
        return page(found, limit, lambda job: str(job["id"]))

    async def show(request: web.Request) -> web.Response:
        return web.json_response(job_view(request, jobs.find(request.match_info["id"])))

    async def cancel(request: web.Request) -> web.Response:
        found = jobs.find(request.match_info["id"])
        if not may(request, "operate"):
            await require(request, kind_of(found.kind).permission)
        job = await jobs.cancel(found.id, caller(request))
        return web.json_response(job_view(request, job))

    async def log(request: web.Request) -> web.Response:
        job = await own_job(control, request)
        offset = query_number(request, "after", 0)
        text, end = await asyncio.to_thread(_read_log, control, job.id, offset)
        return web.json_response({"text": text, "offset": end})

    async def to_sign(request: web.Request) -> web.Response:
        job = await own_job(control, request)
        if job.to_sign is None:
            raise UsageError(
                "the job waits for no signature", thing=f"{job.id} is {job.state}", remedy="see: lockgate job list"
            )
        payload = await asyncio.to_thread((control.station.paths.job(job.id) / PAYLOAD).read_bytes)
        return web.json_response({"payload": base64.b64encode(payload).decode(), **job.to_sign})

    async def sign(request: web.Request) -> web.Response:
        body = await body_of(request)
        job_id, keyid = (await own_job(control, request)).id, body.text("keyid")
        signature = body.raw("signature")
        job = await audited(
            control, request, Act.JOB_SIGN, job_id, jobs.sign(job_id, keyid, signature, caller(request))
        )
        return web.json_response(job.to_json())

    async def events(request: web.Request) -> web.StreamResponse:
        job_id = request.match_info["id"]
        reads, offset = sees(request, jobs.find(job_id)), 0
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):  # who watched has gone: no error of the station's
            async for job in jobs.watch(job_id, _HEARTBEAT):
                control.callers.still_here(request)
                if job is None:
                    await response.write(b": still here\n\n")
                    continue
                if reads:
                    offset = await _lines(control, job_id, offset, response)
                await response.write(_event("job", job_view(request, job)))
                await asyncio.sleep(_PAUSE)
        return response

    return [
        get("/v1/jobs", "status", listed),
        get("/v1/jobs/{id}", "status", show),
        post("/v1/jobs/{id}/cancel", "status", cancel),
        post("/v1/jobs/{id}/dismiss", "status", functools.partial(_dismiss, control)),
        get("/v1/jobs/{id}/log", "status", log),
        get("/v1/jobs/{id}/to-sign", "sign", to_sign),
        post("/v1/jobs/{id}/signatures", "sign", sign),
        get("/v1/jobs/{id}/events", "status", events),
    ]


async def _dismiss(control: Control, request: web.Request) -> web.Response:
    """Somebody who has to do with the kind of job has looked into what went wrong."""
    found = control.jobs.find(request.match_info["id"])
    if not any(may(request, permission) for permission in ("operate", *concerned(found.kind))):
        await require(request, kind_of(found.kind).permission)
    if found.state not in WRONG_STATES:
        raise UsageError(
            "the job did not go wrong", thing=f"{found.id} is {found.state}", remedy="see: lockgate job list"
        )
    who = caller(request)
    event = AuditEvent(Act.JOB_DISMISS, who, found.id, "done", {"state": found.state})
    await act(control, event, DismissJob(id=found.id, by=who, at=clock.now()))
    return web.json_response(job_view(request, control.jobs.find(found.id)))


async def own_job(control: Control, request: web.Request) -> Job:
    """The job, where its words are the caller's to read. Raises RefusedError, and the refusal is an event."""
    job = control.jobs.find(request.match_info["id"])
    if not sees(request, job):
        error = RefusedError("the job is another's", thing=job.id, remedy="ask who started it")
        await control.record(refusal(Act.JOB_READ, caller(request), job.id, error))
        raise error
    return job


async def _lines(control: Control, job_id: str, offset: int, response: web.StreamResponse) -> int:
    """Send the whole lines of the log from `offset` as events; where they end."""
    text, end = await asyncio.to_thread(_read_log, control, job_id, offset)
    for line in text.splitlines():
        if not line.partition(" ")[2].startswith(USAGE):
            await response.write(_event("log", line))
    return end


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _read_log(control: Control, job_id: str, offset: int) -> tuple[str, int]:
    """Whole lines of the log from `offset`, and where they end."""
    path = control.station.paths.job_log(job_id)
    if not path.exists():
        return "", offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(_LOG_CHUNK)
    data = data[: data.rfind(b"\n") + 1]
    return data.decode("utf-8", "replace"), offset + len(data)
