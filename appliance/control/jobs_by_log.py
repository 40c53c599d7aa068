"""Jobs that are taken up again at a start are held against the audit log.

A job is a row: its kind, what it is to do, and for whom. Whoever has the database's file could make one up, or have
another person's name stand in the log for what it does, as whoever imported a bundle, or have one that ended run again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Final

from appliance import clock
from appliance.api.states import FINAL_STATES, LIVE_STATES
from appliance.audit.acts import STARTED_KIND, Act, mark, read_act
from appliance.audit.event import refusal
from appliance.audit.reading import own_events
from appliance.jobs import end_record
from appliance.jobs.documents import Job, list_jobs
from appliance.jobs.end import wire
from appliance.paths import StationPaths
from appliance.station import Station
from appliance.store.writes.jobs import MoveJob
from appliance.store.writes.write import AsyncWriter
from bundles.errors import RefusedError

_log: Final = logging.getLogger(__name__)
_MANY: Final = 10_000

_Said = tuple[str, str, Any]
"""A job's kind, who asked for it, and its params."""


async def refuse_unexplained(station: Station, writer: AsyncWriter) -> None:
    """Before jobs are taken up again: those of which the log tells otherwise, or nothing, and those that had ended,
    have ended as refused, with an event. Raises FailedError where the log cannot be read or written."""
    live = [job for state in LIVE_STATES for job in list_jobs(station.reader, _MANY, state=state)]
    live = [job for job in live if job.state not in FINAL_STATES]  # else its row is damaged
    if not live:
        return
    said = await asyncio.to_thread(_said_of, station.paths, {job.id for job in live})
    for job in live:
        if said.get(job.id) != (job.kind, job.actor, job.params):
            await _refuse(station, writer, job, "the audit log tells of no such job: the database was changed by hand")
        elif await asyncio.to_thread(end_record.has_ended, station.paths.job(job.id)):
            what = "the job had ended, or its folder is gone: the database is an older copy, or was changed by hand"
            await _refuse(station, writer, job, what)


def _said_of(paths: StationPaths, wanted: set[str]) -> dict[str, _Said]:
    """What the events say by which jobs were started, by their ids. Reads as far back as it must."""
    found: dict[str, _Said] = {}
    for event in own_events(paths, marks=tuple(map(mark, STARTED_KIND))):
        act, job_id = read_act(event["act"]), str(event["thing"])
        if act is not None and act in STARTED_KIND and event["outcome"] == "done" and job_id in wanted:
            found.setdefault(job_id, (STARTED_KIND[act], str(event["actor"]), event["detail"].get("params")))
            if len(found) == len(wanted):
                break
    return found


async def _refuse(station: Station, writer: AsyncWriter, job: Job, what: str) -> None:
    error = RefusedError(what, thing=job.id, remedy="start it anew")
    _log.warning("%s", error.diagnostics())
    await asyncio.to_thread(station.audit.record, refusal(Act.JOB_RESUME, "station", job.id, error))
    await writer.submit(
        MoveJob(
            id=job.id, state="refused", phase=job.phase, done=job.done, total=job.total, at=clock.now(),
            error=json.dumps(wire(error)),
        )
    )  # fmt: skip
