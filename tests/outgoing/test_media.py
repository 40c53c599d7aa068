"""Media are looked at before they are written: their room, their write-protection, and whether they are still there."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.outgoing.media import (
    Medium,
    by_number,
    check_mounted,
    check_room,
    check_volume_size,
    folders_named,
    look_at,
    look_at_all,
    room_on,
)
from bundles.errors import FailedError, UsageError
from bundles.format.manifest import BundleManifest, volume_path
from bundles.format.media import pack
from bundles.oci.digest import Digest
from tests.bundles.small import SmallBundle

DISK, STICK, OTHER = 1, 2, 3


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> BundleManifest:
    """Of several volumes on two media."""
    return SmallBundle(tmp_path_factory.mktemp("made"), media=2).manifest


def of_medium(manifest: BundleManifest, number: int) -> int:
    return sum(volume.size for volume in manifest.volumes if volume.medium == number)


def test_a_folder_is_a_medium_with_the_room_of_its_file_system(tmp_path: Path) -> None:
    assert look_at(tmp_path).free > 0
    assert look_at(tmp_path).device == tmp_path.stat().st_dev


@pytest.mark.parametrize("name", ["new", "no/such"])
def test_a_folder_that_is_not_there_is_named_and_never_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    for path in (tmp_path / name, tmp_path / "dangling"):
        with pytest.raises(FailedError, match=r"not there: .*; mount the medium, or make the folder first"):
            look_at(path)
    assert [path.name for path in tmp_path.iterdir()] == ["dangling"]


def test_a_medium_that_takes_no_volume_is_told_by_its_folder(tmp_path: Path) -> None:
    too_small = pytest.raises(FailedError, match=r"too small for a volume: /media/usb2 \(5 bytes are free\)")
    with too_small, folders_named(["/media/usb1", "/media/usb2"]):
        pack([(Digest.of(bytes([n])), 3_000_000) for n in range(2)], 4_000_000, [4_000_000, 5])


def test_one_folder_under_two_names_is_one_medium(tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "usb")
    for other in (tmp_path / "usb", tmp_path / "link", tmp_path / "usb/../usb"):
        with pytest.raises(UsageError, match="given twice"):
            look_at_all([tmp_path / "usb", other], [])
    assert len(look_at_all([tmp_path, tmp_path / "usb"], [])) == 2


def test_the_bundles_own_folder_is_no_medium(tmp_path: Path) -> None:
    """A further bundle in it would not belong to it: the medium would be refused inside."""
    made = SmallBundle(tmp_path / "made")
    with pytest.raises(UsageError, match="own folder") as refused:
        look_at(made.folder)
    assert str(made.folder.parent) in refused.value.remedy
    assert look_at(made.folder.parent).path == made.folder.parent


def test_a_file_is_no_medium(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FailedError, match="not a folder"):
        look_at(tmp_path / "file")


def test_a_read_only_medium_is_named() -> None:
    with pytest.raises(FailedError, match=r"read-only|may not be written"):
        look_at(Path("/proc/self"))


def test_two_folders_of_one_file_system_share_its_room() -> None:
    media = [Medium(Path("/a"), 100, STICK), Medium(Path("/b"), 100, STICK), Medium(Path("/c"), 50, OTHER)]
    assert room_on(media) == [100, 0, 50]


def test_folders_that_are_to_become_discs_take_a_disc_each_of_the_room_that_there_is() -> None:
    media = [Medium(Path(f"/d{number}"), 100, DISK) for number in range(4)]
    assert room_on(media, 40) == [40, 40, 20, 0]
    assert room_on([Medium(Path("/stick"), 30, STICK)], 40) == [30]


def test_too_little_room_is_told_with_its_numbers(manifest: BundleManifest, tmp_path: Path) -> None:
    needed = of_medium(manifest, 1)
    full = [Medium(tmp_path / "one", needed - 1, STICK), Medium(tmp_path / "two", 10**9, OTHER)]
    with pytest.raises(FailedError, match=rf"one \({needed} bytes are needed, {needed - 1} are free\)"):
        check_room(manifest, by_number(manifest, full))
    check_room(manifest, {1: Medium(tmp_path / "one", needed, STICK), 2: full[1]})
    check_room(manifest, {2: full[1]})


def test_what_is_on_a_medium_already_needs_no_room(manifest: BundleManifest, tmp_path: Path) -> None:
    first = next(volume for volume in manifest.volumes if volume.medium == 1)
    path = tmp_path / "one" / manifest.id / volume_path(first.index)
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(first.size))
    needed = of_medium(manifest, 1) - first.size
    check_room(manifest, {1: Medium(tmp_path / "one", needed, STICK), 2: Medium(tmp_path / "two", 10**9, OTHER)})


def test_a_bundle_over_two_media_does_not_go_onto_one(manifest: BundleManifest, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="goes onto 2 media, 1 are given"):
        by_number(manifest, [Medium(tmp_path, 10**12, STICK)])


def test_a_medium_that_was_taken_out_is_not_written_beside(tmp_path: Path) -> None:
    own = tmp_path.stat().st_dev
    now = [Medium(Path("/media/usb"), 10**9, own)]
    with pytest.raises(FailedError, match="no longer mounted: /media/usb"):
        check_mounted(now, tmp_path, {"/media/usb": False})
    check_mounted(now, tmp_path, {"/media/usb": True})
    check_mounted([Medium(Path("/media/usb"), 10**9, own + 1)], tmp_path, {"/media/usb": False})


def test_a_volume_larger_than_fat_takes_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("36 35 8:1 / /media/usb rw shared:1 - vfat /dev/sdb1 rw\n36 35 8:2 / /x rw - ext4 /dev/sdb2 rw\n")
    monkeypatch.setattr("appliance.mounts.MOUNTINFO", mounts)
    stick, disk = Medium(Path("/media/usb"), 10**12, 0x801), Medium(Path("/x"), 10**12, 0x802)
    with pytest.raises(FailedError, match=r"/media/usb \(FAT"):
        check_volume_size([disk, stick], 4 * 1024**3)
    check_volume_size([disk, stick], 4 * 1024**3 - 1)
    check_volume_size([disk], 4 * 1024**3)
