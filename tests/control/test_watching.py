"""Whoever watches a job sees every state it stops in, however slow they are to look."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance.jobs.service import Jobs
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.writer import AsyncWriterService, WriterService, serve_writer
from tests.intake.inside import make_station
from tests.job_starter import job_starter


async def test_a_watcher_that_looks_away_still_sees_how_a_job_ended(tmp_path: Path) -> None:
    make_station(tmp_path / "bravo")
    paths = StationPaths(tmp_path / "bravo")
    with WriterService(paths.database) as service, job_starter() as starting:
        station = open_station(tmp_path / "bravo", service)
        jobs = Jobs(station, AsyncWriterService(service), starting)
        async with serve_writer(paths.writer_socket, service):
            submitted = await jobs.submit("import", {"paths": []}, "tester(0)")
            seen = []
            async with asyncio.timeout(60):
                async for job in jobs.watch(submitted.id, 30.0):
                    assert job is not None, "a change was missed: only the heartbeat came"
                    seen.append(job.state)
                    while not job.ended:  # looks away until it is over
                        await asyncio.sleep(0.05)
            await jobs.stop()
    assert seen[-1] == "failed"
    assert len(seen) == 2


@pytest.mark.parametrize("every", [0.05, 30.0], ids=["looks again by itself", "is told"])
async def test_a_watcher_that_comes_before_a_job_is_taken_up_again_hears_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float
) -> None:
    """A station that starts answers before it has taken up what was cut off."""
    make_station(tmp_path / "bravo")
    paths = StationPaths(tmp_path / "bravo")
    with WriterService(paths.database) as service, job_starter() as starting:
        station = open_station(tmp_path / "bravo", service)
        before = Jobs(station, AsyncWriterService(service), starting)
        monkeypatch.setattr(before, "_schedule", lambda: None)
        async with serve_writer(paths.writer_socket, service):
            submitted = await before.submit("import", {"paths": []}, "tester(0)")
            await before.stop()
            jobs, seen = Jobs(station, AsyncWriterService(service), starting), []

            async def watch() -> None:
                async for job in jobs.watch(submitted.id, every):
                    if job is not None:
                        seen.append(job.state)

            async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
                tasks.create_task(watch())
                while not seen:
                    await asyncio.sleep(0.01)
                await jobs.start()
            await jobs.stop()
    assert (seen[0], seen[-1]) == ("queued", "failed")
