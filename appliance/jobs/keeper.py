"""Keeps where jobs stand and how they ended, in the metadata and in a file of each job's folder."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Final

from appliance import clock
from appliance.jobs import end_record
from appliance.jobs.documents import Job
from appliance.jobs.end import Ended
from appliance.limits import jobs as limits
from appliance.paths import StationPaths
from appliance.store.writes.jobs import MoveJob
from appliance.store.writes.write import AsyncWriter
from bundles.errors import LockgateError

_log: Final = logging.getLogger(__name__)
_EVERY: Final = 1.0
"""Seconds between two records of how far a job has come."""


class JobKeeper:
    """For the event loop's thread. `changed` is called with each job that changed."""

    def __init__(self, paths: StationPaths, writer: AsyncWriter, changed: Callable[[Job], None]) -> None:
        self._paths, self._writer, self._changed = paths, writer, changed
        self._kept: dict[str, float] = {}

    async def keep(self, job: Job) -> None:
        """Keep where a job stands. Where that cannot be kept the job goes on: it would begin anew after a restart."""
        self._kept[job.id] = time.monotonic()
        try:
            await self._move(job)
        except LockgateError as error:
            _log.warning("where job %s stands is not in the metadata: %s", job.id, error.diagnostics())
        self._changed(job)

    async def keep_now_and_then(self, job: Job) -> None:
        """`keep`, where the last time was a while ago."""
        if time.monotonic() - self._kept.get(job.id, 0.0) > _EVERY:
            await self.keep(job)

    async def end(self, job: Job, ended: Ended) -> bool:
        """Let a job have ended whose process is gone: in its file, then in the metadata, and for who watches. Whether
        the metadata has taken it; where not, `tell` it."""
        ended.put_on(job)
        fields = {"state": job.state, "result": job.result, "error": job.error, "finished": job.finished}
        await asyncio.to_thread(end_record.keep, self._paths.job(job.id), fields)
        told = await self._told(job)
        self._changed(job)
        return told

    async def ended_before(self, job: Job) -> bool:
        """Whether a job that the metadata calls live had ended when the station stopped; it stands so then."""
        kept = await asyncio.to_thread(end_record.read, self._paths.job(job.id))
        if kept is None:
            return False
        job.state, job.result, job.error = kept["state"], kept["result"], kept["error"]
        job.finished = kept["finished"]
        return True

    async def keep_once_back(self, job: Job, stopping: Callable[[], bool]) -> bool:
        """Keep where a job stands as soon as the metadata takes it; False where the station stops before."""
        pause, most = limits.JOB_RECORD
        while not stopping():
            try:
                await self._move(job)
            except LockgateError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, most)
            else:
                self._changed(job)
                return True
        return False

    async def tell(self, job: Job, stopping: Callable[[], bool]) -> bool:
        """Tell the metadata how a job ended until it takes it; False where the station stops before."""
        pause, most = limits.JOB_RECORD
        while not stopping():
            if await self._told(job):
                return True
            await asyncio.sleep(pause)
            pause = min(2 * pause, most)
        return False

    async def _told(self, job: Job) -> bool:
        try:
            await self._move(job)
        except LockgateError as error:
            _log.error("the end of job %s is not in the metadata yet: %s", job.id, error.diagnostics())
            return False
        await asyncio.to_thread(end_record.forget, self._paths.job(job.id))
        self._kept.pop(job.id, None)
        return True

    async def _move(self, job: Job) -> None:
        state = "running" if job.state == "starting" else job.state
        await self._writer.submit(
            MoveJob(
                id=job.id, state=state, phase=job.phase, done=job.done, total=job.total, at=job.finished or clock.now(),
                result=json.dumps(job.result) if job.result is not None else None,
                error=json.dumps(job.error) if job.error is not None else None,
            )
        )  # fmt: skip
