"""The process that forks jobs: what a job gets of it, and what becomes of a station that loses it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.control.client import ControlClient
from appliance.jobs.process import JobStarter
from bundles.errors import FailedError
from tests.control.powered import Powered, wait_for
from tests.intake.inside import make_station
from tests.job_starter import job_starter


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def starter_of(station: Powered) -> int:
    """The process that forks jobs. It takes its name a moment after it was forked."""
    control = station.control_process()

    def named() -> list[int]:
        return [pid for pid in children(control) if comm(pid) == "lockgate-jobs"]

    wait_for(named, "the starter has its name", every=0.02)
    (found,) = named()
    return found


@pytest.fixture
def bravo(tmp_path: Path) -> Path:
    make_station(tmp_path / "bravo")
    return tmp_path / "bravo"


async def run(root: Path, kind: str) -> str:
    async with ControlClient(root) as client:
        job = await client.submit(kind, {})
        async for name, data in client.watch(job["id"]):
            if name == "job":
                job = data
    return str(job["state"])


async def test_a_station_that_loses_its_starter_has_another_one_and_its_jobs_go_on(bravo: Path) -> None:
    with Powered(bravo) as station:
        assert await run(bravo, "gc") == "done"
        control, lost = station.control_process(), starter_of(station)
        os.kill(lost, signal.SIGSTOP)  # the next job is asked for, and does not begin
        async with ControlClient(bravo) as client:
            job = await client.submit("gc", {})
            os.kill(lost, signal.SIGKILL)
            async for name, data in client.watch(job["id"]):
                if name == "job":
                    job = data
        assert (job["state"], job["error"]) == ("done", None)
        assert station.control_process() != control
        assert starter_of(station) != lost


async def test_a_starter_and_its_jobs_die_with_the_control_process(bravo: Path) -> None:
    with Powered(bravo) as station:
        starter = starter_of(station)
        os.kill(station.control_process(), signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{starter}").exists(), "the starter ended", every=0.02)


def test_a_starter_keeps_nothing_open_of_the_station(bravo: Path) -> None:
    with Powered(bravo) as station:
        held = [link.readlink() for link in Path(f"/proc/{starter_of(station)}/fd").iterdir()]
        assert [path for path in held if str(path).startswith(f"{bravo}/")] == []
        assert sum(str(path).startswith("socket:") for path in held) == 1, "the socket that it is asked by"


async def _ask(starting: JobStarter, folder: Path, *descriptors: int) -> int:
    process = await starting.start(folder, "job-1", "gc", folder, descriptors)
    assert os.getpgid(process.pid) == process.pid
    process.stdin.write(b"no JSON\n")
    assert await process.stdout.read() == b""
    returncode = await process.wait()
    assert returncode is not None
    return returncode


async def test_a_job_that_fails_before_its_work_ends_with_a_status_and_says_why(tmp_path: Path) -> None:
    with job_starter() as starting:
        assert await _ask(starting, tmp_path) == 1
    assert (tmp_path / "errors").read_text().splitlines()[-1].startswith("json.decoder.JSONDecodeError")


async def test_a_starter_that_is_gone_starts_nothing(tmp_path: Path) -> None:
    lost = asyncio.Event()
    with job_starter() as starting:
        starting.when_lost = lost.set
        assert await _ask(starting, tmp_path) == 1
        os.kill(starting._pid, signal.SIGKILL)
        await asyncio.wait_for(lost.wait(), 30)
        with pytest.raises(FailedError):
            await starting.start(tmp_path, "job-1", "gc", tmp_path, ())


async def test_a_starter_without_room_for_a_process_says_so_and_goes_on(tmp_path: Path) -> None:
    with job_starter("tests.control.forkless") as starting:
        for _ in range(2):
            with pytest.raises(BlockingIOError):
                await starting.start(tmp_path, "job-1", "gc", tmp_path, ())


LOADED = """
import threading
from appliance.jobs.kinds import KINDS
for kind in KINDS.values():
    kind.load()
print(threading.active_count())
"""


def test_what_jobs_load_starts_no_thread() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
