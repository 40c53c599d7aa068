"""What is mounted that could be a medium: label, file system, room, write-protection (proc(5), mountinfo)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

MOUNTINFO: Final = Path("/proc/self/mountinfo")
LABELS: Final = Path("/dev/disk/by-label")
FAT: Final = frozenset({"vfat", "msdos"})

_MEDIA: Final = FAT | {
    "exfat", "ntfs", "ntfs3", "fuseblk", "iso9660", "udf", "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "hfsplus",
    "tmpfs", "fuse.fusefat", "fuse.sshfs", "nfs", "nfs4", "cifs",
}  # fmt: skip
"""File systems that carry files; the others are the kernel's own."""

PLACES: Final = ("/media/", "/mnt/", "/run/media/")
"""Where media are mounted (Filesystem Hierarchy Standard 3.0, 3.11 and 3.12; udisks)."""

_ESCAPED: Final = re.compile(r"\\([0-7]{3})|\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: `device` as stat(2) numbers it, `source` what is mounted (`/dev/sdb1`), `ident` the
    mount's own number, which a descriptor's fdinfo names, too (proc(5))."""

    ident: int
    path: Path
    device: int
    filesystem: str
    source: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Mounted:
    """A medium that is mounted: bytes, and the ids of the bundles that lie on it."""

    path: str
    label: str
    filesystem: str
    size: int
    free: int
    read_only: bool
    bundles: list[str]


def mounts(table: Path | None = None) -> Iterator[Mount]:
    """Every mount of this process, in the kernel's order."""
    for line in (table or MOUNTINFO).read_text().splitlines():
        before, _, behind = line.partition(" - ")
        fields, rest = before.split(" "), behind.split(" ")
        major, _, minor = fields[2].partition(":")
        options = {*fields[5].split(","), *rest[2].split(",")}
        path, source = _plain(fields[4]), _plain(rest[1])
        yield Mount(int(fields[0]), Path(path), os.makedev(int(major), int(minor)), rest[0], source, "ro" in options)


def filesystem_of(device: int) -> str:
    """The type of a mounted file system; "" where it is not known."""
    return next((mount.filesystem for mount in mounts() if mount.device == device), "")


def mount_of(descriptor: int, path: Path, table: Path | None = None) -> Path:
    """The mount point that an opened folder lies under: by the descriptor's mount, and where that is one of another
    namespace (a client's), by the folder's name."""
    found = list(mounts(table))
    info = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    ident = next((int(line.split()[1]) for line in info.splitlines() if line.startswith("mnt_id:")), -1)
    by_ident = [mount.path for mount in found if mount.ident == ident]
    above = [mount.path for mount in found if PurePosixPath(path).is_relative_to(mount.path)]
    return by_ident[0] if by_ident else max(above, key=lambda one: len(one.parts), default=Path("/"))


def disk_of(descriptor: int, path: Path, media_roots: Sequence[str], table: Path | None = None) -> str:
    """The mount point of the disk that an opened folder is but a folder of, or "" where it is a medium: a mount point
    itself, or on what is mounted below one of `media_roots`."""
    found = PurePosixPath(mount_of(descriptor, path, table))
    roots = [PurePosixPath(os.path.realpath(root)) for root in media_roots]
    is_medium = found == PurePosixPath(path) or any(found.is_relative_to(root) and found != root for root in roots)
    return "" if is_medium and found != PurePosixPath("/") else str(found)


def mounted_media(
    table: Path | None = None,
    labels: Path = LABELS,
    places: tuple[str, ...] = PLACES,
    may_list: Callable[[int], bool] = lambda _: True,
) -> list[Mounted]:
    """The media that are mounted where media are, by path. What does not answer is left out: it was pulled out.

    `may_list` says of an opened folder whether its names may be told.
    """
    names = _labels(labels)
    found = {}
    for mount in mounts(table):
        if mount.filesystem in _MEDIA and f"{mount.path}/".startswith(places):
            try:
                room = os.statvfs(mount.path)
                bundles = bundles_on(mount.path, may_list=may_list)
            except OSError:
                continue
            found[str(mount.path)] = Mounted(
                path=str(mount.path), label=names.get(os.path.realpath(mount.source), ""), filesystem=mount.filesystem,
                size=room.f_blocks * room.f_frsize, free=room.f_bavail * room.f_frsize,
                read_only=mount.read_only or bool(room.f_flag & os.ST_RDONLY), bundles=bundles,
            )  # fmt: skip
    return [found[path] for path in sorted(found)]


def bundles_on(folder: Path, most: int = 1000, may_list: Callable[[int], bool] = lambda _: True) -> list[str]:
    """The folders below that look like a bundle's. Nothing of them is believed, and nothing is opened."""
    names = []
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not may_list(descriptor):
            return []
        with os.scandir(descriptor) as entries:
            for entry, _ in zip(entries, range(most), strict=False):
                if entry.is_dir(follow_symlinks=False) and (folder / entry.name / "SHA256SUMS").is_file():
                    names.append(entry.name)
    finally:
        os.close(descriptor)
    return sorted(names)


def _labels(folder: Path) -> dict[str, str]:
    """By device, its file system's label, as udev links it."""
    if not folder.is_dir():
        return {}
    return {os.path.realpath(entry.path): _plain(entry.name) for entry in os.scandir(folder)}


def _plain(text: str) -> str:
    """A name without the escapes of the kernel (octal) and of udev (hex)."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8) if match[1] else int(match[2], 16)), text)
