"""Who watches jobs, and how they hear of changes. For one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from appliance.jobs.documents import Job


class Watching:
    """`told` hears of each change first."""

    def __init__(self, told: Callable[[Job], object]) -> None:
        self._told = told
        self._events: dict[str, asyncio.Event] = {}

    def changed(self, job: Job) -> None:
        """Say that a job changed."""
        job.version += 1
        self._told(job)
        event = self._events.pop(job.id, None)
        if event is not None:
            event.set()

    def wake_all(self) -> None:
        """Wake everybody who waits, though nothing changed: the station stops."""
        for event in self._events.values():
            event.set()

    async def wait(self, job_id: str, seconds: float) -> bool:
        """Wait for a job's next change; False where none came in time."""
        event = self._events.setdefault(job_id, asyncio.Event())
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def watch(
        self, job_id: str, every: float, find: Callable[[str], Job], is_stopping: Callable[[], bool]
    ) -> AsyncIterator[Job | None]:
        """The job, as `find` knows it, at each change until it has ended or the station stops; None where `every`
        seconds passed without a change. Raises what `find` raises."""
        job = find(job_id)
        while True:
            # As it is yielded: it may change, or end, while the caller is busy with it.
            ended, seen = job.ended, job.version
            yield job
            if ended or is_stopping():
                return
            while job.version == seen:
                told = await self.wait(job_id, every)
                if is_stopping():
                    if told:
                        break
                    return
                if job.version == seen and (latest := find(job_id)) is not job:
                    job = latest  # it was as the metadata had it, before it was taken up again
                    break
                if not told:
                    yield None
