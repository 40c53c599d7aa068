"""The units in packaging/: they hold before systemd's own judgement, and a station runs on the folders they make."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.jobs.queue import CARRYING, RUNNING
from appliance.limits import jobs as job_limits
from appliance.limits import sbom as limits
from tests.peer_tools import require

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "packaging/systemd").glob("*.service"))
LOCKGATE = Path(sys.executable).parent / "lockgate"


def settings(unit: Path) -> dict[str, str]:
    """A unit's settings; the last of each name."""
    return dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))


@pytest.fixture
def here(tmp_path: Path) -> list[Path]:
    """The units with this checkout's program, which systemd looks for."""
    made = []
    for unit in UNITS:
        made.append(tmp_path / unit.name)
        made[-1].write_text(unit.read_text().replace("/usr/bin/lockgate", str(LOCKGATE)))
    return made


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other accounts may pass through, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.peer
def test_systemd_finds_nothing_to_complain_about(here: list[Path]) -> None:
    require("systemd-analyze")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *here], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.peer
@pytest.mark.parametrize("number", range(len(UNITS)), ids=[unit.name for unit in UNITS])
def test_what_a_service_is_exposed_to_is_little(number: int, here: list[Path]) -> None:
    """systemd-analyze(1), security: 0 is shut in, 10 is open; a service without any setting has 9.6."""
    require("systemd-analyze")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", here[number]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]


@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_no_service_may_become_more_than_it_is(unit: Path) -> None:
    found = settings(unit)
    assert found["User"] == "lockgate"
    assert (found["NoNewPrivileges"], found["ProtectSystem"], found["CapabilityBoundingSet"]) == ("yes", "strict", "")
    assert found["UMask"] == "0077"
    assert not any(name in unit.read_text() for name in ("Environment=LOCKGATE_PASS", "--passphrase "))


@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_a_service_has_a_ceiling_of_memory(unit: Path) -> None:
    assert re.fullmatch(r"[1-9][0-9]*G", settings(unit)["MemoryMax"])


def test_the_station_has_room_for_its_jobs_and_outlives_one_that_is_killed() -> None:
    found = settings(ROOT / "packaging/systemd/lockgate.service")
    jobs = (RUNNING + CARRYING) * job_limits.JOB_DATA
    assert int(found["MemoryMax"].rstrip("G")) << 30 > jobs + 2 * limits.SBOM_AT_ONCE * (1 << 30)
    assert found["OOMPolicy"] == "continue"


def test_the_console_has_no_network_and_starts_again() -> None:
    found = settings(ROOT / "packaging/systemd/lockgate-console@.service")
    assert (found["PrivateNetwork"], found["RestrictAddressFamilies"]) == ("yes", "AF_UNIX")
    assert (found["Restart"], found["TTYPath"], found["DefaultInstance"]) == ("always", "/dev/%I", "tty1")
    assert "getty@%i.service" in found["Conflicts"]


def test_every_program_a_unit_starts_is_a_command_there_is() -> None:
    for unit in UNITS:
        words = settings(unit)["ExecStart"].split()
        command = [word for word in words[1:3] if not word.startswith("-")]
        done = subprocess.run([LOCKGATE, *command, "--help"], capture_output=True, text=True, check=True)
        options = {word for word in words if word.startswith("-")}
        assert all(option in done.stdout for option in options), unit.name


@pytest.mark.peer
@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to another account: needs root")
def test_a_station_is_made_by_the_account_and_in_the_folders_of_these_files(open_folder: Path) -> None:
    """systemd-sysusers and systemd-tmpfiles on a root of their own, then `init` as that account."""
    require("systemd-sysusers", "systemd-tmpfiles", "setpriv")
    for folder in ("etc", "run", "var/lib"):
        (open_folder / folder).mkdir(parents=True)
    root = f"--root={open_folder}"
    subprocess.run(["systemd-sysusers", root, ROOT / "packaging/sysusers.d/lockgate.conf"], check=True)
    uid, gid = (open_folder / "etc/passwd").read_text().split(":")[2:4]
    subprocess.run(["systemd-tmpfiles", root, "--create", ROOT / "packaging/tmpfiles.d/lockgate.conf"], check=True)
    station, run = open_folder / "var/lib/lockgate", open_folder / "run/lockgate"
    assert (station.stat().st_uid, station.stat().st_mode & 0o777) == (int(uid), 0o710)
    assert (station / "run").readlink() == Path("/run/lockgate")
    (station / "run").unlink()
    (station / "run").symlink_to(run)  # the same link, for a machine whose root is the folder
    as_it = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", LOCKGATE]
    if subprocess.run([*as_it, "--version"], capture_output=True, check=False, cwd="/").returncode:
        pytest.skip("another account cannot run this checkout's program")
    init = [*as_it, "init", station, "--site", "bravo", "--side", "inside"]
    done = subprocess.run(init, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert (station / "run").is_symlink()
    assert {path.stat().st_uid for path in station.rglob("*")} == {int(uid)}
    again = subprocess.run(init, capture_output=True, text=True, check=False, cwd="/")
    assert (again.returncode, "the folder is not empty" in again.stderr) == (2, True)
