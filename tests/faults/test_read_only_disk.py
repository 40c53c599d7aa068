"""The file system of a station becomes read-only, as ext4 does after an error (`errors=remount-ro`): nothing calls that
well, and a start says what it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from appliance.control.health import checks
from appliance.paths import StationPaths
from appliance.store.writable import unwritable
from tests.faults.disks import mounted
from tests.intake.inside import Inside
from tests.peer_tools import cannot
from tests.stage import lockgate


def test_a_disk_that_takes_no_more_writes_fails_health_and_refuses_a_start(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ext4", 64 << 20) as disk, Inside(disk / "bravo") as inside:
        paths = inside.station.paths
        paths.lease.touch()
        assert (unwritable(paths), space(inside)) == ("", True)
        fail(disk)
        assert unwritable(paths) == "Read-only file system"
        assert not space(inside)
        refused = lockgate("serve", "-C", paths.root, "--listen", "127.0.0.1:0", expect=1)
        assert refused.stderr.startswith("lockgate: ")
        assert refused.stderr.count("\n") == 1
        assert "Read-only file system" in refused.stderr


def space(inside: Inside) -> bool:
    return next(bool(one["ok"]) for one in checks(inside.station) if one["name"] == "space")


def fail(disk: Path) -> None:
    """As an error that the file system met: it is mounted with `errors=remount-ro`."""
    done = subprocess.run(["mount", "-o", "remount,errors=remount-ro", disk], capture_output=True, check=False)
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    (device,) = (mount[0] for mount in mounts if mount[1] == f"{disk}")
    trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
    try:
        trigger.write_text("1")
    except OSError as error:
        cannot(f"needs {trigger}: {error}")
    assert done.returncode == 0


def test_what_is_full_or_not_there_yet_is_no_read_only_disk(tmp_path: Path) -> None:
    paths = StationPaths(tmp_path)
    assert unwritable(paths) == "", "no station ran here yet"
    paths.lease.touch()
    assert unwritable(paths) == ""
