"""The jobs of a station: a queue, subprocesses, and whoever watches.

Runs in the control process's event loop. What a job reports is kept in memory and persisted when its state changes and
at most once a second in between; after a power cut a job that had not ended starts again and goes on from what is
durable. States only move forward: before anybody hears how a job ended its process is dead and its end is kept in a
file that has its place already (appliance.jobs.end_record); the metadata is told until it has taken it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.api.states import FINAL_STATES, LIVE_STATES
from appliance.audit.acts import FILLING, Act, started
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording_async
from appliance.handles.granted import load_grants
from appliance.jobs import cosignature, end_record
from appliance.jobs import process as job_process
from appliance.jobs.again import TakenUpAgain
from appliance.jobs.documents import Job, count_states, find_job, jobs_with_live, list_jobs
from appliance.jobs.end import Ended, append_line, cancelled, how_it_ended, wire
from appliance.jobs.forms import check_size
from appliance.jobs.handed import Handed
from appliance.jobs.keeper import JobKeeper
from appliance.jobs.process import JobStarter, Process
from appliance.jobs.queue import JobQueue
from appliance.jobs.signatures import check_signature, keep_signature, waits_since
from appliance.jobs.trails import JobTrails, Place, place_of
from appliance.jobs.unfinished_numbers import with_numbers
from appliance.jobs.watching import Watching
from appliance.limits import jobs as limits
from appliance.station import Station
from appliance.store.writes.jobs import CreateJob
from appliance.store.writes.write import AsyncWriter
from appliance.tracing.context import HEADER, TraceContext
from bundles.errors import FailedError, LockgateError, NotFoundError, UsageError

_log: Final = logging.getLogger(__name__)


class Jobs:
    """Every job of the station that has not ended, and the way to those that have."""

    def __init__(
        self, station: Station, writer: AsyncWriter, starter: JobStarter, lease: int | None = None, token: str = "",
        ended: Callable[[Job], object] = lambda _: None, trails: JobTrails | None = None,
    ) -> None:  # fmt: skip
        """`starter` starts their processes. `lease` is the descriptor of `appliance.station.jobs_lease`, which each
        job's process inherits; `token` what it shows the writer, which takes acts of this control process's jobs alone;
        `ended` is told of each job's end; `trails` records them as spans."""
        self._starter = starter
        self._token, self._ended, self._trails = token, ended, trails or JobTrails()
        self._station, self._writer = station, writer
        self._held = () if lease is None else (lease,)
        self._live: dict[str, Job] = {}
        self._queue = JobQueue(self._live)
        self._processes: dict[str, Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching = Watching(self._trails.changed)
        self._keeper = JobKeeper(station.paths, writer, self._watching.changed)
        self._cancelled: set[str] = set()
        self._again = TakenUpAgain(station.paths, self._keeper, self._background, self._enqueue)
        self._handed: dict[str, list[tuple[str, bool, int]]] = {}
        self._stopping, self._taken_up = False, asyncio.Event()

    async def start(self) -> None:
        """Take up again what had not ended; of what had, and the metadata does not say it, tell the metadata."""
        for state in LIVE_STATES:
            for job in list_jobs(self._station.reader, 10_000, state=state):
                if job.id in self._live:  # it was submitted while others are taken up, and may run already
                    continue
                if await self._keeper.ended_before(job) or job.state in FINAL_STATES:  # its row is damaged
                    self._live[job.id] = job
                    self._background(self._tell(job))
                else:
                    job.state, job.phase = "queued", ""
                    self._trails.begin(job, await asyncio.to_thread(place_of, self._station.paths.job(job.id)))
                    self._live[job.id] = job
        every = sorted(self._live.values(), key=lambda job: job.number)
        self._queue.waiting = [job.id for job in every if job.state == "queued"]
        self._taken_up.set()
        self._schedule()

    async def _find_taken_up(self, job_id: str) -> Job:
        """A job as it stands once what had not ended is taken up again: a station that starts answers before that.
        Raises NotFoundError, FailedError where the station stops first."""
        job = self.find(job_id)
        if not job.ended and job_id not in self._live:
            await self._taken_up.wait()
            self._require_going()
            job = self.find(job_id)
        return job

    def _require_going(self) -> None:
        if self._stopping:
            raise FailedError("the station is stopping", remedy="start it again, then try again")

    def halt(self) -> None:
        """Start no further process, and take none for ended that was killed from now on: `stop` follows."""
        self._stopping = True
        self._taken_up.set()

    async def stop(self) -> None:
        """End the subprocesses; their jobs go on at the next start."""
        self.halt()
        for process in self._processes.values():
            job_process.kill(process)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job_id in list(self._handed):
            self._close_handed(job_id)
        self._watching.wake_all()

    async def submit(
        self, kind: str, params: dict[str, Any], actor: str, handed: Handed | None = None,
        sent: TraceContext | None = None,
    ) -> Job:  # fmt: skip
        """Queue a job, recorded first, with what it was handed; that is this object's from now on. `sent`: the place in
        a trace that its client named.

        Raises UsageError for an unknown kind or parameters without end, FailedError where too many have not ended,
        ReadOnlyError where it would fill a disk that is nearly full.
        """
        handed = handed or Handed()
        try:
            check_size(params)
            if started(kind) in FILLING:
                await asyncio.to_thread(self._station.blobs.require_room)
            with self._queue.place(kind, actor):
                return await self._submit(kind, params, actor, handed, self._trails.place(sent))
        finally:
            handed.close()

    async def _submit(self, kind: str, params: dict[str, Any], actor: str, handed: Handed, place: Place | None) -> Job:
        self._require_going()
        job_id = f"{clock.now().replace(':', '').replace('-', '').lower()}-{secrets.token_hex(3)}"
        job = Job(job_id, kind, params, "queued", actor, clock.now())
        folder = self._station.paths.job(job_id)
        said = {"params": params} | ({HEADER: str(place.own)} if place else {})
        event = AuditEvent(started(kind), actor, job_id, "done", said)
        async with recording_async(self._record, event):
            await asyncio.to_thread(end_record.make_folder, folder)
            await asyncio.to_thread(handed.save, folder)
            if place is not None:
                await asyncio.to_thread(place.keep, folder)
            job.number = await self._writer.submit(
                CreateJob(id=job_id, kind=kind, params=json.dumps(params), actor=actor, at=job.created)
            )
        self._live[job_id] = job
        self._trails.begin(job, place)
        self._handed[job_id] = handed.give_up()
        self._enqueue(job)
        return job

    def _enqueue(self, job: Job) -> None:
        self._queue.waiting.append(job.id)
        self._schedule()

    async def resume(self, job_id: str, handed: Handed, actor: str) -> Job:
        """Go on with a job in `waiting`, with what it was handed anew. Raises UsageError where it does not wait."""
        try:
            job = await self._find_taken_up(job_id)
            if job.state != "waiting":
                raise UsageError(
                    "the job does not wait for a path",
                    thing=f"{job_id} is {job.state}",
                    remedy="see: lockgate job list",
                )
            await self._record(AuditEvent(Act.JOB_RESUME, actor, job_id, "done", {"kind": job.kind}))
            await asyncio.to_thread(handed.save, self._station.paths.job(job_id))
            if job.state != "waiting":
                raise UsageError("the job goes on already", thing=job_id, remedy="see: lockgate job list")
            self._close_handed(job_id)
            self._handed[job_id] = handed.give_up()
            job.state, job.phase, job.waits_for = "queued", "", []
            await self._keeper.keep(job)
            self._enqueue(job)
            return job
        finally:
            handed.close()

    def _close_handed(self, job_id: str) -> None:
        for _, _, descriptor in self._handed.pop(job_id, ()):
            os.close(descriptor)

    def find(self, job_id: str) -> Job:
        """A job, live or ended. Raises NotFoundError."""
        job = self._live.get(job_id) or find_job(self._station.reader, job_id)
        if job is None:
            raise NotFoundError("no such job", thing=job_id, remedy="see: lockgate job list")
        return job

    def list(self, limit: int, after: str = "", state: str = "") -> list[Job]:
        """Jobs, newest first, those before the id `after` where it is given; live ones as they stand now. Fewer than
        `limit` are all that are left in that `state`."""
        return jobs_with_live(self._station.reader, self._live, limit, after, state)

    def counts(self) -> dict[str, int]:
        """How many jobs run (or wait for a signature), and how many are queued."""
        return count_states(self._live.values())

    def current(self) -> Job | None:
        """The job that runs, the oldest where there are several."""
        running = (job for job in self._live.values() if job.state in ("running", "to-sign"))
        return min(running, key=lambda job: job.number, default=None)

    async def cancel(self, job_id: str, actor: str) -> Job:
        """Stop a job within a second of its being taken up. Raises UsageError where it has ended."""
        job = await self._find_taken_up(job_id)
        if job.ended or job_id not in self._live:
            raise UsageError("the job has ended", thing=f"{job_id} is {job.state}", remedy="nothing is left to cancel")
        await self._record(AuditEvent(Act.JOB_CANCEL, actor, job_id))
        self._cancelled.add(job_id)
        process = self._processes.get(job_id)
        if process is None and job.state != "starting":
            if job_id in self._queue.waiting:
                self._queue.waiting.remove(job_id)
            self._close_handed(job_id)
            await self._end(job, cancelled(job))
            return job
        if process is not None:  # one that starts is ended by whoever starts it
            await job_process.ask_to_stop(process)
        while not job.ended:
            await self._watching.wait(job_id, 1.0)
        return job

    async def sign(self, job_id: str, keyid: str, signature: bytes, actor: str) -> Job:
        """Hand a signature to a job in `to-sign`, or to a finished build the co-signature that its bundle lacks.
        Recorded first.

        Raises UsageError, RefusedError where it does not hold.
        """
        job, event = self.find(job_id), AuditEvent(Act.JOB_SIGN, actor, job_id, "done", {"keyid": keyid})
        if cosignature.is_wanted(job):
            write = await cosignature.check(self._station, job, keyid, signature)
            async with recording_async(self._record, event):
                await self._writer.submit(write)
            return self.find(job_id)
        process = self._processes.get(job_id)
        if job.to_sign is None or process is None:
            raise UsageError(
                "the job waits for no signature", thing=f"{job_id} is {job.state}", remedy="see: lockgate job list"
            )
        payload = await check_signature(self._station.paths, job, keyid, signature)
        message = {"keyid": keyid, "signature": base64.b64encode(signature).decode()}
        async with recording_async(self._record, event):
            await asyncio.to_thread(keep_signature, self._station.paths.job(job_id), payload, keyid, signature)
            job.take_signature(keyid)
            self._watching.changed(job)
            with contextlib.suppress(ConnectionError):  # it has died: whoever goes on with it finds what was kept
                process.stdin.write(json.dumps(message).encode() + b"\n")
                await process.stdin.drain()
        return job

    def watch(self, job_id: str, every: float) -> AsyncIterator[Job | None]:
        """The job at each change until it has ended; None where `every` seconds passed without one."""
        return self._watching.watch(job_id, every, self.find, lambda: self._stopping)

    def _schedule(self) -> None:
        while self._queue.waiting and not self._stopping:
            running = [job for job in map(self._live.get, self._processes) if job is not None and job.works]
            starting = [job for job in self._live.values() if job.state == "starting"]
            job = self._queue.take(running + starting)
            if job is None:
                return
            job.state = "starting"
            self._background(self._run(job))

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        """One subprocess from start to end; whatever happens, the job has ended then and the process is dead."""
        folder = self._station.paths.job(job.id)
        ending: dict[str, Any] = {}
        returncode: int | None = None
        try:
            try:
                returncode = await self._process_of(job, folder, ending)
            except (OSError, ValueError, LockgateError) as error:
                ending.setdefault("error", wire(FailedError(f"the job could not be run ({error})", thing=job.id)))
            if self._stopping and job.id not in self._cancelled:
                return
            await self._finish(job, ending, folder, returncode)
        except Exception:
            _log.exception("job %s", job.id)
            lost = FailedError("the job could not be followed to its end", thing=job.id, remedy="see the station's log")
            await self._end(job, Ended("failed", error=wire(lost)))
        self._schedule()

    async def _process_of(self, job: Job, folder: Path, ending: dict[str, Any]) -> int | None:
        """Run the job's process until it is gone; its exit status. Its last words are in `ending` then."""
        process: Process | None = None
        patience = 0.0
        handed = self._handed.get(job.id, [])
        descriptors = (*self._held, *(descriptor for _, _, descriptor in handed))
        try:
            process = await self._starter.start(self._station.paths.root, job.id, job.kind, folder, descriptors)
            self._close_handed(job.id)
            if job.id in self._cancelled:
                return None
            self._processes[job.id] = process
            job.state = "running"
            job.parts.clear()
            job.started = job.started or clock.now()
            await self._keeper.keep(job)
            first = {"params": job.params, "actor": job.actor, "handed": handed, "lease": self._token}
            process.stdin.write(json.dumps(first).encode() + b"\n")
            async for line in process.stdout:
                await self._take(job, json.loads(line), ending)
                if ending:
                    break
            patience = limits.JOB_LAST_WORD
        finally:
            if process is not None:
                await job_process.ended(process, patience)
            self._processes.pop(job.id, None)
            self._close_handed(job.id)
        return process.returncode

    async def _take(self, job: Job, message: dict[str, Any], ending: dict[str, Any]) -> None:
        if "progress" in message:
            worked = job.works
            job.advance(*message["progress"])
            if worked and not job.works:
                self._schedule()
            await self._keeper.keep_now_and_then(job)
        elif "part" in message:
            job.take_part(message["part"])
        elif "log" in message:
            await asyncio.to_thread(append_line, self._station.paths.job_log(job.id), message["log"])
        elif "to_sign" in message:
            since = await asyncio.to_thread(waits_since, self._station.paths.job(job.id))
            job.state, job.to_sign = "to-sign", {**message["to_sign"], "since": since}
            await self._keeper.keep(job)
            self._schedule()
        elif "signed" in message:
            job.state, job.to_sign = "running", None
            await self._keeper.keep(job)
        else:
            ending.update(message)
        self._watching.changed(job)

    async def _finish(self, job: Job, ending: dict[str, Any], folder: Path, returncode: int | None) -> None:
        was_cancelled = job.id in self._cancelled
        if "waits" in ending and not was_cancelled:
            await self._wait_for_client(job, ending["waits"])
            return
        if not was_cancelled and await self._again.stands_aside(job, ending, lambda: self._stopping):
            return
        ended = await asyncio.to_thread(
            how_it_ended, job, ending, folder, was_cancelled=was_cancelled, returncode=returncode
        )
        if ended.unrecorded is not None:
            try:
                await self._record(ended.unrecorded)
            except LockgateError as error:  # the job has failed all the same, and its log says both
                await asyncio.to_thread(append_line, self._station.paths.job_log(job.id), error.diagnostics())
        await self._end(job, ended)

    async def _wait_for_client(self, job: Job, waits: dict[str, str]) -> None:
        """Let a job stand aside until a client hands its paths over again: nothing waits behind it."""
        grants = await asyncio.to_thread(load_grants, self._station.paths.job(job.id))
        if job.id in self._cancelled:
            await self._end(job, cancelled(job))
            return
        job.stand_aside([{"path": one.path, "root": one.root, "writes": one.writes} for one in grants], waits)
        await asyncio.to_thread(append_line, self._station.paths.job_log(job.id), job.phase)
        await self._keeper.keep(job)

    async def _end(self, job: Job, ended: Ended) -> None:
        """Say how a job ended whose process is gone, and go on saying it to the metadata where that cannot take it."""
        ended = with_numbers(self._station.reader, self._station.config.site, job, ended)
        told = await self._keeper.end(job, ended)
        self._ended(job)
        self._trails.ended(job)
        self._cancelled.discard(job.id)
        if told:
            self._live.pop(job.id, None)
        else:
            self._background(self._tell(job))

    async def _tell(self, job: Job) -> None:
        if await self._keeper.tell(job, lambda: self._stopping):
            self._live.pop(job.id, None)

    async def _record(self, event: AuditEvent) -> None:
        await asyncio.to_thread(self._station.audit.record, event)
