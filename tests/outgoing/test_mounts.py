"""What is mounted is listed as a person knows it: label, file system, room, write-protection, the bundles on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.mounts import bundles_on, disk_of, mounted_media, mounts


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def line(path: Path | str, filesystem: str, *, source: str = "/dev/sdb1", options: str = "rw,relatime") -> str:
    escaped = str(path).replace(" ", "\\040")
    return f"36 35 8:17 / {escaped} {options} shared:1 master:2 - {filesystem} {source} {options}"


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "my stick"
    folder.mkdir()
    return folder


def test_a_medium_is_listed_with_its_label_file_system_and_room(tmp_path: Path, stick: Path) -> None:
    (tmp_path / "sdb1").write_text("")
    labels = tmp_path / "by-label"
    labels.mkdir()
    (labels / "LOCK\\x20GATE").symlink_to(tmp_path / "sdb1")
    mounted = table(tmp_path, line(stick, "vfat", source=str(tmp_path / "sdb1")), line("/proc", "proc"))
    (found,) = mounted_media(mounted, labels, (f"{tmp_path}/",))
    assert (found.path, found.label, found.filesystem, found.read_only) == (str(stick), "LOCK GATE", "vfat", False)
    assert 0 < found.free <= found.size


def test_write_protection_is_told(tmp_path: Path, stick: Path) -> None:
    mounted = table(tmp_path, line(stick, "iso9660", options="ro,noexec"))
    (found,) = mounted_media(mounted, tmp_path / "none", (f"{tmp_path}/",))
    assert found.read_only


def test_bundles_on_a_medium_are_named_and_nothing_is_followed(stick: Path) -> None:
    (stick / "alpha.bravo-000002").mkdir()
    (stick / "alpha.bravo-000002/SHA256SUMS").write_text("")
    (stick / "photos").mkdir()
    (stick / "alpha.bravo-000003").symlink_to(stick / "alpha.bravo-000002")
    assert bundles_on(stick) == ["alpha.bravo-000002"]


def test_the_kernel_s_own_and_what_lies_elsewhere_is_no_medium(tmp_path: Path, stick: Path) -> None:
    mounted = table(tmp_path, line(stick, "proc"), line("/", "ext4"))
    assert mounted_media(mounted, tmp_path / "none", (f"{tmp_path}/",)) == []


def test_a_medium_that_was_pulled_out_is_left_out(tmp_path: Path) -> None:
    mounted = table(tmp_path, line(tmp_path / "gone", "vfat"))
    assert mounted_media(mounted, tmp_path / "none", (f"{tmp_path}/",)) == []


def test_the_machine_s_own_mounts_are_read() -> None:
    assert any(mount.path == Path("/proc") and mount.device == Path("/proc").stat().st_dev for mount in mounts())


def test_the_names_on_a_medium_are_told_to_those_alone_who_may_list_it(tmp_path: Path) -> None:
    (tmp_path / "alpha.bravo-000001").mkdir()
    (tmp_path / "alpha.bravo-000001" / "SHA256SUMS").touch()
    assert bundles_on(tmp_path) == ["alpha.bravo-000001"]
    assert bundles_on(tmp_path, may_list=lambda _: False) == []


def mount_ident(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        info = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    finally:
        os.close(descriptor)
    return next(int(line.split()[1]) for line in info.splitlines() if line.startswith("mnt_id:"))


@pytest.mark.parametrize(
    ("mounted", "roots", "disk"),
    [
        ("usb", [], ""),  # a mount point itself
        ("", ["{}"], "{}"),  # no mount point, and below one that is a media root itself
        ("", [], "{}"),
        ("", ["{}/.."], ""),  # a folder on what is mounted below a media root
        ("", ["/elsewhere"], "{}"),
    ],
)  # fmt: skip
def test_a_folder_is_a_medium_where_it_is_mounted_or_on_what_is_mounted_for_media(
    tmp_path: Path, mounted: str, roots: list[str], disk: str
) -> None:
    folder, table = tmp_path / "usb", tmp_path / "mountinfo"
    folder.mkdir()
    place = tmp_path / mounted
    line = "{} 1 8:1 / {} rw - ext4 /dev/sdb1 rw\n"
    table.write_text(line.format(1, "/") + line.format(mount_ident(folder), place))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        found = disk_of(descriptor, folder, [root.format(tmp_path) for root in roots], table)
        assert found == disk.format(tmp_path)
        table.write_text(line.format(1, "/"))  # a mount of another namespace is found by the name
        assert disk_of(descriptor, folder, ["/"], table) == "/"
    finally:
        os.close(descriptor)
