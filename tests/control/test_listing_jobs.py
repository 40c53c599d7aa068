"""A list of jobs in one state has all of them, however many others there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.jobs.service import Jobs
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.writer import AsyncWriterService, WriterService
from appliance.store.writes.jobs import CreateJob, MoveJob
from tests.intake.inside import make_station
from tests.job_starter import NoStarter

AT = "2026-06-01T00:00:00Z"


async def test_jobs_of_a_state_are_found_behind_newer_ones_and_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jobs, "_schedule", lambda _: None)
    make_station(tmp_path / "bravo")
    with WriterService(StationPaths(tmp_path / "bravo").database) as service:
        for number in range(30):
            name = f"job-{number:03d}"
            service.submit(CreateJob(id=name, kind="gc", params="{}", actor="tester(0)", at=AT))
            if number not in (0, 1, 2, 17):
                service.submit(MoveJob(id=name, state="done", phase="", done=0, total=0, at=AT))
        station = open_station(tmp_path / "bravo", service)
        jobs = Jobs(station, AsyncWriterService(service), NoStarter())
        await jobs.start()

        def names(limit: int, after: str = "", state: str = "queued") -> list[str]:
            return [job.id for job in jobs.list(limit, after, state)]

        assert names(10) == ["job-017", "job-002", "job-001", "job-000"]
        assert names(2) == ["job-017", "job-002"]
        assert names(2, "job-002") == ["job-001", "job-000"]
        assert names(2, "job-000") == []
        assert names(10, state="running") == []
        assert names(3, state="done") == ["job-029", "job-028", "job-027"]
        assert names(3, state="") == ["job-029", "job-028", "job-027"]
        service.submit(CreateJob(id="job-000-late", kind="gc", params="{}", actor="tester(0)", at=AT))
        assert names(2, state="") == ["job-000-late", "job-029"]
        assert names(2, "job-000-late", state="") == ["job-029", "job-028"]

        jobs.find("job-002").state = "failed"  # the metadata could not be told yet
        assert names(10, state="failed") == ["job-002"]
        assert names(10) == ["job-017", "job-001", "job-000"]
        service.submit(MoveJob(id="job-001", state="failed", phase="", done=0, total=0, at=AT))
        assert names(1, state="failed") == ["job-002"]
        assert names(1, "job-002", state="failed") == ["job-001"]
        assert [names(2, "no-such-job", state=state) for state in ("", "queued", "failed")] == [[], [], []]
