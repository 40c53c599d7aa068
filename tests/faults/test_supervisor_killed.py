"""kill -9 of the supervisor alone: its processes and its jobs are gone before another station opens the store."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance import station as station_module
from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from appliance.control import server
from appliance.lifecycle.restored_copy import shut_if_forgotten
from appliance.measures.catalogue import layout
from appliance.measures.slots import Slots
from appliance.paths import StationPaths
from appliance.station import jobs_lease, station_lock
from bundles.errors import FailedError
from tests.faults.test_kill_station import REPOSITORY_ROOT, Importer, make_bundles, states
from tests.intake.inside import make_station


def start(root: Path) -> tuple[subprocess.Popen[str], str]:
    """A station that answers, and its first line."""
    command = [sys.executable, "-m", "appliance.cli.main", "serve", "-C", str(root), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=REPOSITORY_ROOT
    )
    assert process.stdout is not None
    return process, process.stdout.readline()


def kill_and_restart(tmp_path: Path, rounds: int) -> int:
    """Kill the supervisor under imports and start another at once, `rounds` times. Returns the imports asked for."""
    dice, root = random.Random(5), tmp_path / "bravo"
    make_station(root, media_roots=[str(tmp_path)])
    bundles, importers = make_bundles(tmp_path, root, 2 * rounds), list[Importer]()
    process, line = start(root)
    for number in range(rounds):
        assert "serving" in line, line
        importers.append(Importer(root, bundles[2 * number : 2 * number + 2]))
        importers[-1].start()
        time.sleep(dice.uniform(0.3, 1.5))
        process.send_signal(signal.SIGKILL)
        after, line = start(root)
        process.wait()
        importers[-1].join(60)
        assert process.stdout is not None
        assert process.stdout.read() == ""
        process.stdout.close()
        process = after
    asked = [job for importer in importers for job in importer.asked]
    assert "serving" in line, line
    assert set(states(root, asked)) <= {"done"}
    process.terminate()
    said = process.communicate(timeout=30)[0]
    assert said == ""
    return len(asked)


def test_a_station_starts_at_once_after_its_supervisor_was_killed_under_imports(tmp_path: Path) -> None:
    assert kill_and_restart(tmp_path, 2) > 0


@pytest.mark.long
def test_a_station_starts_at_once_after_its_supervisor_was_killed_many_times(tmp_path: Path) -> None:
    assert kill_and_restart(tmp_path, 20) > 0


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StationPaths:
    monkeypatch.setattr(station_module, "_DYING", 0.1)
    make_station(tmp_path / "bravo")
    return StationPaths(tmp_path / "bravo")


def test_no_store_is_opened_while_a_job_of_the_station_before_lives(paths: StationPaths) -> None:
    """The job holds the lease through the descriptor that it inherited; the control process itself has closed it."""
    with jobs_lease(paths) as lease:
        job = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=(lease,))
    paths.database.unlink(missing_ok=True)
    try:
        with pytest.raises(FailedError, match="has not ended"), station_lock(paths):
            raise AssertionError("the station's lock was given while a job lived")
        with pytest.raises(FailedError, match="has not ended"):
            server.run(paths.root, "127.0.0.1:0", lambda: None, Slots(layout()))
        assert not paths.database.exists()
    finally:
        job.communicate()
    with station_lock(paths):
        pass


def test_a_lock_whose_holder_lives_is_refused_without_waiting(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station_module, "_DYING", 60.0)
    began = time.monotonic()
    with station_lock(paths), pytest.raises(FailedError, match="running already"), station_lock(paths):
        pass
    assert time.monotonic() - began < 30


def test_a_lock_that_children_of_a_dead_supervisor_hold_is_waited_for(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station_module, "_DYING", 60.0)
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(dead.pid).encode(), 0)
    dying = subprocess.Popen(["/bin/sleep", "0.3"], pass_fds=(descriptor,))
    os.close(descriptor)
    with station_lock(paths):
        assert dying.poll() is not None or dying.wait(5) == 0


def test_an_inspection_that_was_refused_is_no_bundle_that_the_ledger_forgot(paths: StationPaths) -> None:
    event = AuditEvent("intake.inspect", "ada", "alpha.bravo-000007", "refused", {"why": "the bundle is released"})
    FileAudit(paths.audit).record(event)
    assert shut_if_forgotten(paths) == ""
