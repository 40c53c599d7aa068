"""`make demo`: the tour is what a newcomer sees first, so it is held to what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.stock import Layout, docker_registry_in, run

REFUSED = ("a replay: exit 3", "a bundle for another site: exit 3")


def tour(tmp_path: Path, *references: str) -> str:
    """What the tour prints."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance.tour", *references],
        capture_output=True, text=True, check=False, timeout=600,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_references_of_ones_own_take_the_whole_tour(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    layout.tag("app", layout.index([layout.image({"etc/a": arch.encode()}, arch) for arch in ("amd64", "arm64")]))
    with docker_registry_in(tmp_path) as host:
        run("skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false",
            f"oci:{layout.folder}:app", f"docker://{host}/team/app:1")  # fmt: skip
        told = tour(tmp_path, f"{host}/team/app:1")
    assert f"team/app:1  {layout.digest('app')}" in told
    assert all(refusal in told for refusal in REFUSED)
    assert "digests equal" in told


@pytest.mark.long
def test_this_machines_own_python_takes_the_whole_tour_over_at_least_three_volumes(tmp_path: Path) -> None:
    told = tour(tmp_path)
    assert all(refusal in told for refusal in REFUSED)
    assert "sha256sum -c" in told
    assert all(f"{name}:local: " in told for name in ("tools/python", "tools/wheels", "files/python-executable"))
    steps = [line for line in told.partition("== Account")[2].splitlines() if "MB/s" in line]
    assert len(steps) == 4


def test_a_reference_that_is_not_there_ends_the_tour_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance.tour", "not a reference"],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "malformed remote reference" in done.stderr
    assert "Traceback" not in done.stderr
