"""A job that the metadata was away from is taken up again, as after a restart of the station."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from appliance.jobs.documents import Job
from appliance.jobs.end import append_line
from appliance.jobs.keeper import JobKeeper
from appliance.limits import jobs as limits
from appliance.paths import StationPaths
from appliance.store.errors import AWAY


class TakenUpAgain:
    """Of one control process. `background` runs what goes on beside; `queue` puts a job into the queue."""

    def __init__(
        self,
        paths: StationPaths,
        keeper: JobKeeper,
        background: Callable[[Coroutine[Any, Any, None]], None],
        queue: Callable[[Job], None],
    ) -> None:
        self._paths, self._keeper, self._background, self._queue = paths, keeper, background, queue
        self._times = Counter[str]()

    async def stands_aside(self, job: Job, ending: dict[str, Any], stopping: Callable[[], bool]) -> bool:
        """Whether a job ended so that it is taken up again; it is queued as soon as the metadata takes that. One that
        ends so too often has failed."""
        if ending.get("error", {}).get("code") != AWAY or self._times[job.id] >= limits.JOB_AGAIN:
            self._times.pop(job.id, None)
            return False
        self._times[job.id] += 1
        job.state, job.phase, job.to_sign = "queued", "waits for the metadata", None
        said = "the metadata was away: the job goes on as soon as it is back"
        await asyncio.to_thread(append_line, self._paths.job_log(job.id), said)
        self._background(self._go_on(job, stopping))
        return True

    async def _go_on(self, job: Job, stopping: Callable[[], bool]) -> None:
        if await self._keeper.keep_once_back(job, lambda: stopping() or job.ended) and not job.ended:
            self._queue(job)
