"""What the supervisor says of a process that ended, and what Ctrl-C does while the station starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bundles.processes.start import how_it_ended

ROOT = Path(__file__).resolve().parents[2]


def in_a_child(work: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python of its own that runs `work`, in a process group of its own, as a terminal's job is."""
    return subprocess.Popen(
        [sys.executable, "-c", work, *map(str, arguments)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


SUPERVISED = """
import os, signal, sys, time
from appliance.serve.processes import Role, Supervisor
first = []
def work(ready):
    ready()
    if not os.path.exists(sys.argv[1]):
        open(sys.argv[1], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
sys.exit(Supervisor([Role("worker 1", work)]).run("begun"))
"""


def test_a_worker_that_was_killed_is_started_again_and_its_signal_is_named(tmp_path: Path) -> None:
    process = in_a_child(SUPERVISED, tmp_path / "died")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert out.splitlines() == ["begun", "lockgate: worker 1 was killed by SIGKILL; it is started again"]


FAILING = """
import os, signal, sys, time
from pathlib import Path
from appliance.serve import processes
from appliance.serve.processes import Role, Supervisor
processes._PAUSE = processes._LONGEST = 0.01
starts, other = Path(sys.argv[1]), Path(sys.argv[2])
def failing(ready):
    number = len(starts.read_text()) if starts.exists() else 0
    starts.write_text("x" * (number + 1))
    if number == 0:
        ready()
        while not other.exists():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGKILL)
    if number <= int(sys.argv[4]):
        raise SystemExit
    os.kill(os.getppid(), signal.SIGTERM)
    ready()
    signal.pause()
def going_on(ready):
    ready()
    with other.open("a") as file:
        file.write("y")
    signal.pause()
sys.exit(Supervisor([Role(sys.argv[3], failing), Role("worker 2", going_on)]).run("begun"))
"""


@pytest.mark.parametrize(("role", "failures"), [("worker 1", 20), ("control", 5)])
def test_a_process_that_does_not_start_again_is_tried_again_and_the_others_go_on(
    tmp_path: Path, role: str, failures: int
) -> None:
    process = in_a_child(FAILING, tmp_path / "starts", tmp_path / "other", role, failures)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert (tmp_path / "starts").read_text() == "x" * (failures + 2)
    assert (tmp_path / "other").read_text() == "y", "started once"
    assert out.count("is tried again") == failures
    assert out.count("was killed by SIGKILL") == 1


def test_a_station_whose_control_process_does_not_come_back_ends(tmp_path: Path) -> None:
    process = in_a_child(FAILING, tmp_path / "starts", tmp_path / "other", "control", 1_000)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the control process did not start" in out
    assert (tmp_path / "starts").read_text() == "x" * 7


def test_how_a_process_ended_names_its_signal_or_its_status() -> None:
    assert how_it_ended(3) == "ended with status 3"
    assert how_it_ended(-signal.SIGSEGV) == "was killed by SIGSEGV"
    assert how_it_ended(-40) == "was killed by signal 40"


STARTING = """
import os, sys, time
from appliance.serve.processes import Role, Supervisor
def work(ready):
    os.write(1, b"starting\\n")
    time.sleep(60)
sys.exit(Supervisor([Role("control", work)]).run("begun"))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_process_starts_ends_the_station_without_a_traceback(number: int) -> None:
    """Ctrl-C reaches the whole group of the terminal's processes."""
    process = in_a_child(STARTING)
    assert process.stdout is not None
    assert process.stdout.readline() == "starting\n"
    began = time.monotonic()
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert time.monotonic() - began < 15


LOADING = """
import os, signal, sys, threading
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "appliance.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from appliance.cli.entry import main
main()
"""


def test_ctrl_c_while_the_program_is_loaded_is_one_line() -> None:
    process = in_a_child(LOADING)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "lockgate: interrupted\n")


def test_the_installed_command_is_the_entry_that_ctrl_c_is_one_line_in() -> None:
    assert 'lockgate = "appliance.cli.entry:main"' in (ROOT / "pyproject.toml").read_text()
