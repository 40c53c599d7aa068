"""A station that starts answers before it has taken up the jobs that were cut off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.audit.reading import tail
from appliance.jobs.documents import Job
from appliance.jobs.handed import Handed
from appliance.jobs.service import Jobs
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.writer import AsyncWriterService, WriterService
from bundles.errors import FailedError
from tests.intake.inside import make_station
from tests.job_starter import NoStarter


class Later(Jobs):
    """Jobs of which none is begun."""

    def _schedule(self) -> None:
        pass


@asynccontextmanager
async def cut_off(root: Path, count: int = 1) -> AsyncIterator[tuple[Jobs, list[str]]]:
    """What takes up that many jobs that an earlier run left, and their ids."""
    make_station(root)
    with WriterService(StationPaths(root).database) as service:
        station = open_station(root, service)
        before = Later(station, AsyncWriterService(service), NoStarter())
        left = [(await before.submit("import", {"paths": []}, "tester(0)")).id for _ in range(count)]
        await before.stop()
        jobs = Later(station, AsyncWriterService(service), NoStarter())
        async with asyncio.timeout(60):
            yield jobs, left
        await jobs.stop()


async def test_a_job_that_is_not_yet_taken_up_is_cancelled_and_recorded(tmp_path: Path) -> None:
    async with cut_off(tmp_path / "bravo") as (jobs, (job_id,)):
        asked = asyncio.create_task(jobs.cancel(job_id, "anna(7)"))
        await asyncio.sleep(0)  # it is asked before anything is taken up
        assert not asked.done()
        await jobs.start()
        assert (await asked).state == "cancelled"
        assert jobs.find(job_id).state == "cancelled"
        assert not jobs.counts()["queued"]
    events = tail(StationPaths(tmp_path / "bravo").audit, 10)
    assert ("job.cancel", "anna(7)", job_id) in [(one["act"], one["actor"], one["thing"]) for one in events]


async def test_cancels_between_two_that_are_taken_up_leave_none_behind(tmp_path: Path) -> None:
    async with cut_off(tmp_path / "bravo", 4) as (jobs, left):
        asked = [asyncio.create_task(jobs.cancel(one, "anna(7)")) for one in left[:3]]
        taking = asyncio.create_task(jobs.start())
        ended = await asyncio.gather(*asked)
        await taking
        assert [job.state for job in ended] == ["cancelled"] * 3
        assert [job.id for job in jobs.list(10, state="queued")] == left[3:]


async def test_whoever_asks_while_the_station_stops_is_told_so(tmp_path: Path) -> None:
    async with cut_off(tmp_path / "bravo", 2) as (jobs, (first, second)):
        asked = [
            asyncio.create_task(jobs.cancel(first, "anna(7)")),
            asyncio.create_task(jobs.resume(second, Handed(), "anna(7)")),
        ]
        await asyncio.sleep(0)
        await jobs.stop()
        for each in asked:
            with pytest.raises(FailedError, match="stopping"):
                await each


async def test_a_job_that_is_submitted_while_others_are_taken_up_is_one_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in the metadata as one that was cut off would."""
    async with cut_off(tmp_path / "bravo") as (jobs, left):
        submitted: list[Job] = []
        before = jobs._keeper.ended_before

        async def ended_before(job: Job) -> bool:
            if not submitted:
                submitted.append(await jobs.submit("import", {"paths": []}, "anna(7)"))
                submitted[0].state = "starting"
            return await before(job)

        monkeypatch.setattr(jobs._keeper, "ended_before", ended_before)
        monkeypatch.setattr("appliance.jobs.service.LIVE_STATES", ("queued", "queued"))
        await jobs.start()
        assert jobs.find(submitted[0].id) is submitted[0]
        assert jobs._queue.waiting == left
