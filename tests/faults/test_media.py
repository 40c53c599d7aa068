"""Media that fill, are pulled out, rot or are swapped: every way ends in the same digests inside, or in a clear word.

Small ext4 and tmpfs media are mounted for real, which takes root.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.intake import import_job
from appliance.outgoing import build
from bundles.errors import FailedError, IncompleteError, LockgateError, RefusedError
from bundles.volumes.read import read_volume
from tests.deltas.conftest import Road
from tests.deltas.conftest import road as road  # noqa: PLC0414  a fixture
from tests.intake.inside import Inside

MIB = 1024 * 1024
Mount = Callable[[str, int], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small file system of its own: `ext4` in a loop-mounted image, or `tmpfs`, of so many bytes."""
    if os.geteuid() or not os.access("/dev/loop-control", os.W_OK):
        pytest.skip("mounting takes root and loop devices")
    mounted: list[Path] = []

    def make(kind: str, size: int) -> Path:
        place = tmp_path / f"drive-{len(mounted)}"
        place.mkdir()
        if kind == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
        else:
            image = tmp_path / f"{place.name}.img"
            with image.open("wb") as file:
                file.truncate(size)
            run("mkfs.ext4", "-q", "-m", "0", image)
            run("mount", "-o", "loop", image, place)
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=False, capture_output=True)


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def whole(road: Road, folder: Path, reference: str) -> None:
    """The bundle comes in, and what it carries is the outside's to the byte."""
    road.release(folder)
    shown = road.outside.shows(reference)
    assert shown is not None
    for store in (road.outside.station.blobs, road.inside.station.blobs):
        assert store.has_blob(shown)


@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_a_medium_that_is_too_small_is_refused_before_it_is_written(road: Road, mount: Mount, kind: str) -> None:
    medium = mount(kind, 8 * MIB)
    reference = road.make("1", data=os.urandom(12 * MIB))
    before = sorted(path.name for path in medium.iterdir())
    with pytest.raises(FailedError, match=r"too small|too little room"):
        road.outside.build(medium, reference)
    assert sorted(path.name for path in medium.iterdir()) == before
    assert set(road.outside.bundles().values()) <= {"voided"}


@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_a_medium_that_fills_while_it_is_written_goes_on_when_it_has_room(road: Road, mount: Mount, kind: str) -> None:
    medium = mount(kind, 24 * MIB)
    reference = road.make("1", data=os.urandom(12 * MIB))
    context = road.outside.building(medium, reference, volume="4MiB")

    def fill(phase: str, done: int, total: int) -> None:
        if phase == "write" and done and not (medium / "stranger").exists():
            with (medium / "stranger").open("wb") as file:
                try:
                    while True:
                        file.write(bytes(MIB))
                        file.flush()
                except OSError:
                    return

    context.on_progress = fill
    with pytest.raises(FailedError, match="No space left"):
        road.outside.run(context, build.run)
    (medium / "stranger").unlink()
    again = road.outside.build(medium, reference, volume="4MiB")
    assert again["id"] == "alpha.bravo-000001"
    whole(road, Path(again["path"]), reference)


@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_real_media_are_filled_to_95_percent(road: Road, mount: Mount, kind: str) -> None:
    media = [mount(kind, 24 * MIB) for _ in range(4)]
    room = [shutil.disk_usage(medium).free for medium in media]
    reference = road.make("1", **{f"layer{number}": os.urandom(3 * MIB) for number in range(16)})
    result = road.outside.build(media, reference, volume="4MiB")
    used = [before - shutil.disk_usage(medium).free for before, medium in zip(room, media, strict=True)]
    folders = [Path(path) for path in result["media"]]
    for taken, free in list(zip(used, room, strict=True))[: len(folders) - 1]:
        assert 0.95 * free <= taken <= free
    for folder in reversed(folders[1:]):
        with pytest.raises(IncompleteError):
            road.inside.bring(folder)
    whole(road, folders[0], reference)


def test_drives_are_written_at_once_and_one_that_fills_does_not_keep_the_other_from_its_end(
    road: Road, mount: Mount
) -> None:
    media = [mount("tmpfs", 12 * MIB) for _ in range(2)]
    reference = road.make("1", **{f"layer{number}": os.urandom(3 * MIB) for number in range(6)})
    context = road.outside.building(media, reference, volume="4MiB")

    def fill(phase: str, done: int, total: int) -> None:
        if phase == "write" and not (media[1] / "stranger").exists():
            (media[1] / "stranger").write_bytes(bytes(9 * MIB))

    context.on_progress = fill
    with pytest.raises(FailedError, match=rf"{media[1]}.*No space left|No space left.*{media[1]}"):
        road.outside.run(context, build.run)
    assert (media[0] / "alpha.bravo-000001/SHA256SUMS").exists()
    assert not (media[1] / "alpha.bravo-000001/SHA256SUMS").exists()
    (media[1] / "stranger").unlink()
    kept = {path.name: path.stat().st_ino for path in media[0].rglob("*.7z")}
    again = road.outside.build(media, reference, volume="4MiB")
    assert {path.name: path.stat().st_ino for path in media[0].rglob("*.7z")} == kept
    with pytest.raises(IncompleteError, match="insert medium 1 of 2"):
        road.inside.bring(Path(again["media"][1]))
    whole(road, Path(again["media"][0]), reference)


def test_drives_are_read_at_once(road: Road, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    media = [mount("tmpfs", 12 * MIB) for _ in range(2)]
    reference = road.make("1", **{f"layer{number}": os.urandom(3 * MIB) for number in range(6)})
    result = road.outside.build(media, reference, volume="16MiB")
    together = threading.Barrier(2)

    def meet(path: Path, *rest: Any) -> None:
        together.wait(60)  # neither would get past it alone
        read_volume(path, *rest)

    monkeypatch.setattr(import_job, "read_volume", meet)
    road.inside.bring(*map(Path, result["media"]))
    assert road.inside.state("alpha.bravo-000001") == "quarantined"


def test_a_medium_torn_away_while_it_is_written_is_cut_again_on_another(road: Road, mount: Mount) -> None:
    medium, other = mount("ext4", 48 * MIB), mount("ext4", 48 * MIB)
    reference = road.make("1", data=os.urandom(12 * MIB))
    context = road.outside.building(medium, reference, volume="4MiB")

    def tear(phase: str, done: int, total: int) -> None:
        if phase == "write" and done > 5 * MIB and medium.is_mount():
            run("umount", "-l", medium)

    context.on_progress = tear
    with pytest.raises(LockgateError):
        road.outside.run(context, build.run)
    again = road.outside.build(other, reference, volume="4MiB")
    assert again["id"] == "alpha.bravo-000001"
    whole(road, Path(again["path"]), reference)


def test_a_medium_torn_away_while_it_is_brought_in_goes_on_when_it_is_back(
    road: Road, mount: Mount, tmp_path: Path
) -> None:
    medium = mount("ext4", 48 * MIB)
    reference = road.make("1", data=os.urandom(12 * MIB))
    folder = Path(road.outside.build(medium, reference, volume="4MiB")["path"])
    context = road.inside.context(paths=[str(folder)])

    def tear(phase: str, done: int, total: int) -> None:
        if phase == "verify and store" and done > 5 * MIB and medium.is_mount():
            run("umount", "-l", medium)

    context.on_progress = tear
    with pytest.raises(LockgateError, match=r"cannot be read|still to come|No such file"):
        import_job.run(context)
    assert road.inside.state("alpha.bravo-000001") == "receiving"
    run("mount", "-o", "loop,ro", tmp_path / "drive-0.img", medium)
    whole(road, folder, reference)


def test_a_flipped_sector_is_refused_and_the_volume_cut_again_alone_is_the_same(road: Road, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    reference = road.make("1", data=os.urandom(12 * MIB))
    built = road.outside.building(medium, reference, volume="4MiB")
    folder = Path(road.outside.run(built, build.run)["path"])
    volume = folder / "volumes/0002.7z"
    good = {path.name: path.read_bytes() for path in folder.rglob("*.7z")}
    bad = bytearray(good[volume.name])
    bad[MIB : MIB + 512] = bytes(512)
    volume.chmod(0o600)
    volume.write_bytes(bad)
    context = road.inside.context(paths=[str(folder)])
    with pytest.raises(RefusedError, match=r"volumes/0002\.7z"):
        import_job.run(context)
    assert any(line.startswith("volumes/0002.7z (medium 1) is needed by ") for line in context.lines)
    kept = {path.name: path.stat().st_ino for path in folder.rglob("*.7z") if path != volume}
    build.run(road.outside.context("build", built.params, built.job_id))
    assert {path.name: path.read_bytes() for path in folder.rglob("*.7z")} == good
    assert {path.name: path.stat().st_ino for path in folder.rglob("*.7z") if path != volume} == kept
    whole(road, folder, reference)


def test_last_month_s_medium_in_the_place_of_this_one_is_named(road: Road, tmp_path: Path) -> None:
    media = [tmp_path / f"stick-{number}" for number in range(2)]
    for medium in media:
        medium.mkdir()
    old = Path(road.outside.build(media[0], road.make("1", data=os.urandom(MIB)))["path"])
    road.release(old)
    new = Path(road.outside.build(media[1], road.make("2", data=os.urandom(MIB)))["path"])
    with pytest.raises(RefusedError, match="not of one bundle"):
        road.inside.bring(new, old)
    with pytest.raises(RefusedError, match="replay"):
        road.inside.bring(old)
    assert road.bring(new) == "alpha.bravo-000002"


@pytest.mark.long
def test_five_media_come_in_every_order_to_the_same_end(road: Road, tmp_path: Path) -> None:
    reference = road.make("1", **{f"layer{number}": os.urandom(MIB) for number in range(8)})
    media = [tmp_path / f"stick-{number}" for number in range(5)]
    for medium in media:
        medium.mkdir()
    folders = _spread(road, reference, media)
    assert len(folders) == 5
    for order in itertools.permutations(range(5)):
        root = tmp_path / "bravo-{}".format("".join(map(str, order)))
        with Inside(root) as inside:
            inside.trust(road.outside.key.public)
            for number in order[:-1]:
                with pytest.raises(IncompleteError, match=r"insert medium .* of 5"):
                    inside.bring(folders[number])
            assert inside.bring(folders[order[-1]])["state"] == "quarantined"
        shutil.rmtree(root)


def _spread(road: Road, reference: str, media: list[Path]) -> list[Path]:
    """Build onto five media, each with room for a fifth of it."""
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr("appliance.outgoing.build.room_on", lambda found, _: [2_100_000 for _ in found])
        result = road.outside.build(media, reference)
    return [Path(path) for path in result["media"]]
