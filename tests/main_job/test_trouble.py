"""What goes wrong beside a stick: one line and its status, nothing half-done to be seen, and the next try works."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.tour.pull import pull
from appliance.tour.stage import Outcome, Station
from bundles.limits import MIB
from bundles.oci.reference import Reference
from tests.job_processes import job_processes
from tests.main_job.gap import Gap, random_file

FILE = Reference.parse("files/thing:1")
SIZE = 24 * MIB


@pytest.fixture(scope="module")
def gap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gap]:
    """A gap with a first bundle released, so that there is something to lose."""
    with Gap(tmp_path_factory.mktemp("trouble")) as gap:
        gap.collect_file(random_file(gap.root / "thing", SIZE), str(FILE))
        gap.build(str(FILE), out=[gap.root / "first"])
        gap.bring_in(gap.root / "first")
        yield gap


@pytest.fixture(autouse=True)
def what_was_served_is_served_afterwards(gap: Gap) -> Iterator[None]:
    before = pull(gap.bravo.base, FILE)
    yield
    assert pull(gap.bravo.base, FILE) == before


@pytest.fixture
def medium(gap: Gap, tmp_path: Path) -> Path:
    """The next bundle, of new content in volumes of 4 MiB; each test imports it, so that the stream goes on."""
    name = f"files/{tmp_path.name.lower().replace('_', '-')}:1"
    gap.collect_file(random_file(tmp_path / "thing", SIZE), name)
    gap.build(name, out=[tmp_path / "medium"], options=("--volume", "4MiB"))
    return tmp_path / "medium"


mounts = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a file system")
"""Before any fixture: a bundle that is built and not brought in leaves a gap for the tests after it."""


@contextmanager
def tmpfs(path: Path, options: str) -> Iterator[Path]:
    """A small file system; needs root (`mounts`)."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=False, stderr=subprocess.DEVNULL)


def line(outcome: Outcome) -> str:
    """The error's one line; progress is indented."""
    (said,) = [text for text in outcome.stderr.splitlines() if not text.startswith("  ")]
    return said


def start(gap: Gap, *words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "appliance.cli.main", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def fill(path: Path) -> None:
    """Take all the room there is."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(MIB))


@mounts
def test_a_medium_that_is_too_small_is_told_before_anything_is_written(gap: Gap, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "size=8m") as small:
        told = line(gap.build(str(FILE), out=[small], expect=1))
        assert "too small" in told
        assert list(small.iterdir()) == []


@mounts
def test_a_medium_that_fills_while_it_is_written_is_named_and_goes_on_with_room(gap: Gap, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "stick", "size=40m") as stick:
        command = ("bundle", "build", "--to", "bravo", "--out", stick, "--sign-with", "engineer", "--volume", "4MiB")
        building = start(gap, *command, str(FILE), "-C", gap.alpha.folder)
        wait_for(lambda: list(stick.glob("*/volumes/*")) or building.poll() is not None)
        fill(stick / "another.bin")
        _, err = building.communicate(timeout=120)
        if building.returncode == 0:
            gap.bring_in(stick)
            pytest.skip("the machine wrote the whole bundle before the medium could be filled")
        said = [text for text in err.splitlines() if not text.startswith("  ")]
        assert building.returncode == 1
        assert len(said) == 1
        assert "No space left" in said[0] or "full" in said[0]
        assert str(stick) in said[0]
        (stick / "another.bin").unlink()
        gap.build(str(FILE), out=[stick], options=("--volume", "4MiB"))
        gap.bring_in(stick)


@mounts
def test_a_read_only_medium_is_named(gap: Gap, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "locked", "size=64m,ro") as locked:
        assert f"the medium is read-only: {locked}" in line(gap.build(str(FILE), out=[locked], expect=1))


@mounts
def test_a_medium_is_imported_from_though_it_is_read_only(gap: Gap, medium: Path, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "locked", "size=64m") as locked:
        shutil.copytree(medium, locked, dirs_exist_ok=True)
        subprocess.run(["mount", "-o", "remount,ro", locked], check=True)
        gap.bring_in(locked)


def test_a_medium_that_is_pulled_out_during_an_import_fails_and_the_next_try_goes_on(gap: Gap, medium: Path) -> None:
    bundle = next(medium.iterdir())
    (bundle / "volumes").rename(medium.parent / "volumes")
    told = line(gap.bravo.run("intake", "import", medium, expect=4))
    assert "volumes/0001.7z" in told
    (medium.parent / "volumes").rename(bundle / "volumes")
    assert gap.bring_in(medium) == bundle.name


@mounts
def test_a_full_disk_inside_is_one_line_and_the_import_goes_on_once_there_is_room(gap: Gap, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "size=16m") as disk, Station(disk / "bravo", "bravo", "inside") as small:
        shutil.copytree(gap.trust, small.folder / "trust", dirs_exist_ok=True)
        told = line(small.run("intake", "import", gap.root / "first", expect=1))
        assert "No space left" in told or "room" in told or "space" in told
        assert small.run("intake", "list", "--state", "quarantined", "--json").json["items"] == []
        small.run("status")
        subprocess.run(["mount", "-o", "remount,size=128m", disk], check=True)
        assert small.run("intake", "import", gap.root / "first").last_line == "alpha.bravo-000001"


def test_an_import_whose_process_is_killed_goes_on_in_the_next(gap: Gap, medium: Path) -> None:
    importing = start(gap, "intake", "import", medium, "-C", gap.bravo.folder)
    process: list[int] = []

    def running() -> bool:
        process.extend(int(found.name) for found in job_processes(gap.bravo.folder))
        return bool(process)

    wait_for(running)
    os.kill(process[0], signal.SIGKILL)
    _, err = importing.communicate(timeout=60)
    assert importing.returncode == 1
    assert "Traceback" not in err
    assert gap.bravo.run("intake", "list", "--state", "quarantined", "--json").json["items"] == []
    assert gap.bring_in(medium) == next(medium.iterdir()).name


def test_of_two_imports_at_once_one_quarantines_and_the_other_is_a_replay(gap: Gap, medium: Path) -> None:
    both = [start(gap, "intake", "import", medium, "-C", gap.bravo.folder) for _ in range(2)]
    ended = sorted((process.communicate(timeout=120), process.returncode) for process in both)
    assert sorted(status for _, status in ended) == [0, 3]
    assert any("a replay" in err for (_, err), status in ended if status == 3)
    name = next(medium.iterdir()).name
    gap.bravo.run("intake", "approve", name, "--key", "officer")
    gap.bravo.run("intake", "release", name)


def test_a_build_that_is_interrupted_leaves_no_bundle_and_the_same_command_goes_on(gap: Gap, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    command = ("bundle", "build", "--to", "bravo", "--out", medium, "--sign-with", "engineer", "--volume", "1MiB")
    building = start(gap, *command, str(FILE), "-C", gap.alpha.folder)
    wait_for(lambda: list(medium.glob("*/volumes/*")) or building.poll() is not None)
    building.send_signal(signal.SIGINT)
    out, err = building.communicate(timeout=60)
    if building.returncode == 0:
        gap.bring_in(medium)
        pytest.skip("the machine wrote the whole bundle before it could be interrupted")
    assert (building.returncode, out) == (1, "")
    assert "cancelled" in err.splitlines()[-1]
    (left,) = medium.iterdir()
    assert "the bundle lacks a file" in line(gap.bravo.run("bundle", "verify", medium, expect=3))
    made = gap.build(str(FILE), out=[medium], options=("--volume", "1MiB"))
    assert made.last_line == str(left)
    assert gap.bring_in(medium) == left.name


def test_volumes_come_in_any_order_and_from_several_media(gap: Gap, tmp_path: Path) -> None:
    media = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    made = Path(gap.build(str(FILE), out=[tmp_path / "medium"], options=("--volume", "9MiB")).last_line)
    volumes = sorted((made / "volumes").iterdir())
    assert len(volumes) == len(media)
    for folder, volume in zip(media, volumes, strict=True):
        shutil.copytree(made, folder / made.name, ignore=lambda *_: ["volumes"])
        (folder / made.name / "volumes").mkdir()
        shutil.copy(volume, folder / made.name / "volumes")
    assert "volumes/0001.7z" in line(gap.bravo.run("intake", "import", media[2], expect=4))
    assert "volumes/0002.7z" in line(gap.bravo.run("intake", "import", media[0], expect=4))
    assert gap.bring_in(media[1]) == made.name


def test_the_same_content_gives_the_same_volumes(gap: Gap, tmp_path: Path) -> None:
    made = [Path(gap.build(str(FILE), out=[tmp_path / name], options=("--volume", "9MiB")).last_line) for name in "ab"]
    first, second = ([path.read_bytes() for path in sorted((folder / "volumes").iterdir())] for folder in made)
    assert first == second
    for folder in made:
        gap.bring_in(folder)
