"""How a job ended is always recorded, its process is dead before anybody hears of it, and it never runs again."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.api.states import FINAL_STATES
from appliance.audit.acts import FILLING, started
from appliance.jobs import end_record
from appliance.jobs.documents import Job, find_job
from appliance.jobs.kinds import KINDS
from appliance.jobs.service import Jobs
from appliance.limits import jobs as limits
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.reserve import ReadOnlyError, Reserve
from appliance.store.writer import AsyncWriterService, WriterService, serve_writer
from appliance.store.writes.jobs import MoveJob
from appliance.store.writes.write import Write
from bundles.errors import NoSpaceError
from tests.faults.disks import fill_bytes, fill_inodes, mounted
from tests.intake.inside import make_station
from tests.job_starter import job_starter


class Full(AsyncWriterService):
    """The station's writer, whose disk takes no word of how a job ended until there is `room`."""

    room = False
    refused = 0

    async def submit(self, write: Write) -> Any:
        if isinstance(write, MoveJob) and write.state in FINAL_STATES and not self.room:
            self.refused += 1
            raise NoSpaceError("the metadata cannot be written", thing="database or disk is full")
        return await super().submit(write)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits long for a job that does not end."""
    monkeypatch.setattr(limits, "JOB_LAST_WORD", 0.5)
    monkeypatch.setattr(limits, "JOB_RECORD", (0.01, 0.02))


@asynccontextmanager
async def running(root: Path, *, full: bool = False) -> AsyncIterator[tuple[Jobs, Full]]:
    """A station's jobs, which do the work of tests/faults/stubborn.py, taken up again; left as a station is that
    stops."""
    if not root.exists() or not any(root.iterdir()):
        make_station(root)
    paths = StationPaths(root)
    with WriterService(paths.database) as service, job_starter("tests.faults.stubborn") as starting:
        writer = Full(service)
        writer.room = not full
        jobs = Jobs(open_station(root, service), writer, starting)
        async with serve_writer(paths.writer_socket, service):
            await jobs.start()
            yield jobs, writer
            await jobs.stop()


async def ended(jobs: Jobs, job_id: str) -> Job:
    async with asyncio.timeout(60):
        async for seen in jobs.watch(job_id, 30.0):
            job = seen
    assert job is not None
    return job


async def told(jobs: Jobs, job_id: str) -> Job:
    """The job as the metadata has it, once it has heard of its end."""
    async with asyncio.timeout(60):
        while (job := find_job(jobs._station.reader, job_id)) is None or not job.ended:
            await asyncio.sleep(0.01)
    return job


@pytest.mark.parametrize(("way", "state"), [("fails", "failed"), ("succeeds", "done")])
async def test_an_end_that_the_metadata_does_not_take_is_told_kept_and_never_another_one(
    tmp_path: Path, way: str, state: str
) -> None:
    root = tmp_path / "bravo"
    folder = StationPaths(root).job
    async with running(root, full=True) as (jobs, _):
        job = await jobs.submit("import", {"way": way}, "tester(0)")
        other = await jobs.submit("import", {"way": "succeeds"}, "tester(0)")
        assert (await ended(jobs, job.id)).state == state, "whoever waits hears of it"
        await ended(jobs, other.id)
        assert jobs.counts() == {"running": 0, "queued": 0, "waiting": 0}
        before = find_job(jobs._station.reader, job.id)
        assert before is not None
        assert not before.ended, "the metadata could not be told"
    async with running(root, full=True) as (jobs, _):
        assert (await ended(jobs, job.id)).state == state
        assert jobs.current() is None
    async with running(root) as (jobs, _):
        after = await told(jobs, job.id)
        assert after.state == state
        assert (after.result, after.error) == (jobs.find(job.id).result, jobs.find(job.id).error)
        assert after.result == ({"volumes": 7} if state == "done" else None)
    assert (folder(job.id) / "ran").read_text().count("\n") == 1, "it never ran again"
    assert not (folder(job.id) / "end").exists(), "its disk is given back"


async def test_the_metadata_hears_of_it_as_soon_as_there_is_room(tmp_path: Path) -> None:
    async with running(tmp_path / "bravo", full=True) as (jobs, writer):
        job = await jobs.submit("import", {"way": "fails"}, "tester(0)")
        await ended(jobs, job.id)
        while writer.refused < 3:
            await asyncio.sleep(0.01)
        writer.room = True
        assert (await told(jobs, job.id)).state == "failed"


@pytest.mark.parametrize("way", ["talks_rubbish_and_goes_on", "fails_and_goes_on", "dies_with_a_child"])
async def test_when_a_job_is_called_failed_nothing_of_it_is_alive(tmp_path: Path, way: str) -> None:
    async with running(tmp_path / "bravo") as (jobs, _):
        job = await jobs.submit("import", {"way": way}, "tester(0)")
        assert (await ended(jobs, job.id)).state == "failed"
        folder = StationPaths(tmp_path / "bravo").job(job.id)
        size = (folder / "medium").stat().st_size
        for name in ("ran", "child"):
            assert not is_alive(int((folder / name).read_text())), name
        assert (folder / "medium").stat().st_size == size


async def test_a_job_is_cancelled_also_where_the_metadata_takes_no_end(tmp_path: Path) -> None:
    async with running(tmp_path / "bravo", full=True) as (jobs, _):
        job = await jobs.submit("import", {"way": "waits"}, "tester(0)")
        folder = StationPaths(tmp_path / "bravo").job(job.id)
        async with asyncio.timeout(60):
            while not (folder / "ran").exists() or not (folder / "ran").read_text():
                await asyncio.sleep(0.01)
            assert (await jobs.cancel(job.id, "tester(0)")).state == "cancelled"
        assert not is_alive(int((folder / "ran").read_text()))


async def test_a_job_says_that_it_failed_where_the_disk_takes_no_traceback(tmp_path: Path) -> None:
    async with running(tmp_path / "bravo") as (jobs, _):
        job = await ended(jobs, (await jobs.submit("import", {"way": "raises_and_no_word_is_taken"}, "tester(0)")).id)
    assert job.error is not None
    assert (job.state, job.error["what"]) == ("failed", "an internal error")


async def test_a_job_goes_on_where_its_log_and_its_place_cannot_be_kept(tmp_path: Path) -> None:
    async with running(tmp_path / "bravo") as (jobs, _):
        job = await jobs.submit("import", {"way": "succeeds"}, "tester(0)")
        (StationPaths(tmp_path / "bravo").job(job.id) / "log").mkdir()  # no line of it can be written
        assert (await ended(jobs, job.id)).state == "done"


async def test_on_a_disk_that_is_nearly_full_no_job_that_takes_content_in_begins(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "tmpfs", 24 << 20, 2_000) as disk:
        async with running(disk / "bravo") as (jobs, _):
            reserve = Reserve(StationPaths(disk / "bravo").reserve)
            assert reserve.keep()
            fill_inodes(disk)
            fill_bytes(disk)
            for kind in KINDS:
                if started(kind) in FILLING:
                    with pytest.raises(ReadOnlyError, match="read-only"):
                        await jobs.submit(kind, {"way": "succeeds"}, "tester(0)")
                else:
                    job = await jobs.submit(kind, {"way": "succeeds"}, "tester(0)")
                    assert (done := await ended(jobs, job.id)).state == "done", (kind, done.error)
            filling = {"advisories", "build", "collect", "import", "recut", "replica", "warm"}
            assert {kind for kind in KINDS if started(kind) in FILLING} == filling
            assert reserve.in_want()


ERROR = {"error": "FailedError", "what": "x" * 1_000, "exit_status": 1}


def test_an_end_fits_into_the_disk_that_was_taken_for_it(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "tmpfs", 4 << 20) as disk:
        end_record.prepare(disk)
        fill_bytes(disk)
        parts = [{"name": "v" * 100} for _ in range(2_000)]
        assert end_record.keep(disk, {"state": "failed", "error": {**ERROR, "parts": parts}})
        assert end_record.read(disk) == {"state": "failed", "error": ERROR}, "all but the parts"
        assert end_record.keep(disk, {"state": "done", "error": None})
        assert end_record.read(disk) == {"state": "done", "error": None}
        assert not end_record.keep(disk, {"state": "done", "error": None, "result": parts})
        end_record.forget(disk)
        end_record.forget(disk)
        assert end_record.read(disk) is None


@pytest.mark.parametrize("torn", [b"", b"\0" * 100, b"{}", b"0" * 64 + b" {}", b"\xff" * 80])
def test_an_end_that_is_torn_says_nothing(tmp_path: Path, torn: bytes) -> None:
    end_record.prepare(tmp_path)
    assert end_record.read(tmp_path) is None
    (tmp_path / "end").write_bytes(torn)
    assert end_record.read(tmp_path) is None
    assert end_record.keep(tmp_path, {"state": "failed", "error": ERROR})
    kept = (tmp_path / "end").read_bytes()
    (tmp_path / "end").write_bytes(kept.replace(b"failed", b"done  "))
    assert end_record.read(tmp_path) is None
    assert json.loads(kept.rstrip(b"\0").partition(b" ")[2])["state"] == "failed"


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    os.kill(pid, 0)
    return state not in "ZX"
