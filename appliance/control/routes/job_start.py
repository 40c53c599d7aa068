"""/v1/jobs: ask for work, and go on with what waits for its paths."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from appliance.audit.acts import Act, started
from appliance.caching.warm_names import check_warm
from appliance.control.api import Control, audited, caller, post, require
from appliance.control.handed_paths import take_again, take_job
from appliance.control.request_fields import body_of, malformed
from appliance.control.routes.jobs import own_job
from appliance.control.routes.plans import chosen_for
from appliance.control.visibility import job_view, require_all
from appliance.diode.names import find_diode
from appliance.handles.granted import load_grants
from appliance.jobs.documents import Job
from appliance.jobs.handed import Handed
from appliance.jobs.kinds import kind_of
from appliance.jobs.params import check_params
from appliance.outgoing.build_params import BuildParams, check_destination, convert
from appliance.replication.primary import find_replica
from appliance.settings.caches import Caches
from appliance.sftp.names import check_bundle, find_host
from appliance.store.reads.sites import require_known
from appliance.tracing.context import HEADER, TraceContext
from bundles.errors import UsageError
from bundles.oci.reference import Reference

_HOST_AT: Final = {"sftp-list": "at", "sftp-pull": "from", "sftp-push": "to"}
"""Which parameter of a transfer names its host."""

_DIODE_AT: Final = {"diode-send": "over", "diode-receive": "from"}
"""Which parameter of a transfer names its diode."""


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    jobs = control.jobs

    async def submit(request: web.Request) -> web.Response:
        body = await body_of(request)
        actor = caller(request)
        kind, sent = body.text("kind"), body.mapping("params")
        await require(request, kind_of(kind).permission)
        if "references" in sent:
            await require_all(request, sent["references"])
        if isinstance(sent.get("reference"), str):
            await require(request, "pull", Reference.parse(sent["reference"]).repository)
        trace = TraceContext.parse(request.headers.getall(HEADER, []))
        params, handed = await audited(control, request, started(kind), kind, take(request, kind, sent))
        job = await audited(control, request, started(kind), kind, jobs.submit(kind, params, actor, handed, trace))
        return web.json_response(job.to_json(), status=201)

    async def take(request: web.Request, kind: str, sent: dict[str, Any]) -> tuple[dict[str, Any], Handed]:
        check_params(kind, sent)
        if kind == "build" and isinstance(sent.get("to"), str):
            check_destination(sent["to"], control.station.config.site)
            require_known(control.station.reader, sent["to"], new=sent.get("new_site") is True)
        if kind in _HOST_AT and isinstance(sent.get(_HOST_AT[kind]), str):
            find_host(control.station.config.transfer_hosts, sent[_HOST_AT[kind]])
        if kind in _DIODE_AT and isinstance(sent.get(_DIODE_AT[kind]), str):
            find_diode(control.station.config.diodes, sent[_DIODE_AT[kind]])
        if kind == "warm":
            check_warm(Caches(control.station.config.caches), sent.get("references"))
        if kind == "replica" and isinstance(sent.get("name"), str):
            find_replica(control.station.config.replicas, sent["name"])
        if kind == "sftp-pull" and isinstance(sent.get("id"), str):
            check_bundle(sent["id"])
        plain, handed = take_job(request, control.handles, kind, sent)
        if kind == "build":
            try:
                handed.chosen = await chosen_for(control, request, convert(plain, BuildParams))
            except BaseException:
                handed.close()
                raise
        return plain, handed

    async def resume(request: web.Request) -> web.Response:
        job = await own_job(control, request)
        await require(request, kind_of(job.kind).permission)
        handed = await audited(control, request, Act.JOB_RESUME, job.id, take_anew(request, job))
        job = await audited(control, request, Act.JOB_RESUME, job.id, jobs.resume(job.id, handed, caller(request)))
        return web.json_response(job_view(request, job))

    async def take_anew(request: web.Request, job: Job) -> Handed:
        paths = (await body_of(request))["paths"]
        if not isinstance(paths, list):
            raise malformed("paths", "it is no list")
        if job.state != "waiting":
            raise UsageError(
                "the job does not wait for a path", thing=f"{job.id} is {job.state}", remedy="see: lockgate job list"
            )
        grants = await asyncio.to_thread(load_grants, control.station.paths.job(job.id))
        return take_again(request, control.handles, grants, paths)

    return [post("/v1/jobs", "status", submit), post("/v1/jobs/{id}/resume", "status", resume)]
