"""A job has a limit of memory, ends with one line where it meets it, and the station goes on."""

from __future__ import annotations

import asyncio
import resource
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.event import AuditEvent
from appliance.audit.reading import tail
from appliance.jobs.documents import Job
from appliance.jobs.kinds import KINDS
from appliance.jobs.service import Jobs
from appliance.limits import jobs as limits
from appliance.outgoing import build
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.writer import AsyncWriterService, WriterService, serve_writer
from bundles.errors import FailedError
from bundles.processes import start
from tests.control.greedy import WAYS
from tests.intake.inside import make_station
from tests.job_starter import job_starter
from tests.outgoing.outside import Outside

MIB = 1024 * 1024
GREEDY = "tests.control.greedy"


@asynccontextmanager
async def station_jobs(root: Path, starter: str = GREEDY) -> AsyncIterator[Jobs]:
    if not root.exists():
        make_station(root)
    paths = StationPaths(root)
    with WriterService(paths.database) as service, job_starter(starter) as starting:
        jobs = Jobs(open_station(root, service), AsyncWriterService(service), starting)
        async with serve_writer(paths.writer_socket, service):
            yield jobs
            await jobs.stop()


async def end(jobs: Jobs, kind: str, params: dict[str, Any]) -> Job:
    """How a new job ended."""
    job: Job | None = await jobs.submit(kind, params, "tester(0)")
    assert job is not None
    async for seen in jobs.watch(job.id, 120.0):
        job = seen or job
    return job


async def test_a_job_that_takes_memory_without_end_is_a_failed_job_and_the_station_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with station_jobs(tmp_path / "bravo") as jobs:
        ended = await asyncio.gather(*(end(jobs, "import", {"way": way}) for way in WAYS))
        for way, job in zip(WAYS, ended, strict=True):
            assert job.error is not None, way
            assert (way, job.state, job.error["exit_status"]) == (way, "failed", 1)
            assert "more memory than the 270 MiB" in job.error["what"], (way, job.error)
            assert (job.error["thing"], bool(job.error["remedy"])) == (job.id, True)
            assert peak(StationPaths(tmp_path / "bravo").job_log(job.id)) < 300 * MIB
    async with station_jobs(tmp_path / "bravo", "tests.job_starter") as jobs:
        assert (await end(jobs, "gc", {})).state == "done"


FAILURES = {
    "in_one_piece": ("failed", "more memory than the 270 MiB"),
    "killed": ("failed", "ended without a word: it was killed by SIGKILL"),
    "failed_unrecorded": ("refused", "the bundle is damaged"),
}


async def test_the_failure_of_every_kind_of_job_is_recorded_also_where_its_process_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with station_jobs(tmp_path / "bravo") as jobs:
        cases = [*((kind, "in_one_piece") for kind in KINDS), *(("import", way) for way in FAILURES)]
        ended = await asyncio.gather(*(end(jobs, kind, {"way": way}) for kind, way in cases))
    events = {event["thing"]: event for event in tail(StationPaths(tmp_path / "bravo").audit, 1000)
              if event["outcome"] != "done"}  # fmt: skip
    for (kind, way), job in zip(cases, ended, strict=True):
        event = events.pop(job.id)
        outcome, reason = FAILURES[way]
        assert (event["act"], event["outcome"], event["actor"]) == (KINDS[kind].act, outcome, "tester(0)")
        assert reason in event["detail"]["reason"], (kind, way)
    assert events == {}


async def test_a_job_that_lacked_memory_and_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "JOB_STARVED", 0.1)
    async with station_jobs(tmp_path / "bravo") as jobs:
        job = await end(jobs, "import", {"way": "starved"})
    assert job.error is not None
    assert (job.state, job.error["exit_status"]) == ("failed", 1)
    assert "more memory than the 270 MiB" in job.error["what"]


async def test_a_failure_that_the_job_recorded_itself_is_recorded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with station_jobs(tmp_path / "bravo") as jobs:
        assert (await end(jobs, "receipt", {"way": "failed_and_recorded", "kind": "receipt"})).state == "failed"
    failed = [event for event in tail(StationPaths(tmp_path / "bravo").audit, 1000) if event["outcome"] != "done"]
    assert [(event["act"], event["thing"]) for event in failed] == [("receipt.export", "a thing")]


async def test_a_failure_that_cannot_be_recorded_ends_the_job_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with station_jobs(tmp_path / "bravo") as jobs:
        real = jobs._record

        async def full(event: AuditEvent) -> None:
            if event.outcome != "done":
                raise FailedError("the audit log cannot be written")
            await real(event)

        monkeypatch.setattr(jobs, "_record", full)
        job = await end(jobs, "import", {"way": "killed"})
    assert job.state == "failed"
    assert "the audit log cannot be written" in StationPaths(tmp_path / "bravo").job_log(job.id).read_text()


def peak(log: Path) -> int:
    """The most memory that a job's log speaks of, in bytes; 0 where the job could not say it any more."""
    said = log.read_text().partition("memory at most ")[2] if log.exists() else ""
    return int(said.split()[0]) if said else 0


async def test_every_kind_of_job_has_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with station_jobs(tmp_path / "bravo") as jobs:
        ended = await asyncio.gather(*(end(jobs, kind, {"way": "bounds"}) for kind in KINDS))
    expected = {"data": limits.JOB_DATA, "stack": limits.JOB_STACK}
    assert [(job.kind, job.result) for job in ended] == [(kind, expected) for kind in KINDS]


def test_the_limit_is_below_the_promise_and_leaves_room_for_the_largest_inputs() -> None:
    assert limits.JOB_DATA + limits.JOB_WORDS < 300 * MIB


def test_a_build_that_runs_out_of_memory_gives_its_number_up(tmp_path: Path) -> None:
    def lack(_: object) -> None:
        raise MemoryError

    (tmp_path / "alpha").mkdir()
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "medium").mkdir()
    with Outside(tmp_path / "alpha") as outside:
        references = outside.collect({"kind": "file", "path": str(tmp_path / "file"), "as": "files/one:1"})
        context = outside.building(tmp_path / "medium", *references)
        context.on_sign = lack
        with pytest.raises(MemoryError):
            build.run(context)
        rows = outside.station.reader.execute("SELECT state FROM bundles_out").fetchall()
        assert rows == [("voided",)]
        event = tail(outside.station.paths.audit, 1)[0]
        assert (event["act"], event["outcome"]) == ("bundle.build", "failed")
    assert list((tmp_path / "medium").iterdir()) == []


def _limits_within(bounds: start.Bounds) -> tuple[str, str]:
    """Soft and hard RLIMIT_DATA of a child of a process with a low soft one."""
    command = start.bounded("/bin/sh", "-c", "ulimit -Sd; ulimit -Hd", bounds=bounds)

    def low() -> None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (limits.JOB_DATA, hard))

    done = subprocess.run(command, env=start.environment(), capture_output=True, text=True, preexec_fn=low)  # noqa: PLW1510
    soft, hard = done.stdout.split()
    return soft, hard


def test_a_program_that_a_job_starts_has_its_own_limit_and_not_the_jobs() -> None:
    kib = 1024
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    free = "unlimited" if hard == resource.RLIM_INFINITY else str(hard // kib)
    assert _limits_within(start.Bounds()) == (free, free)
    larger = 2 * limits.JOB_DATA
    assert _limits_within(start.Bounds(data=larger)) == (str(larger // kib), free)
