"""The media a bundle goes to: whether they can be written, how much they take, and whether they are still the same.

All of it is asked before anything is written, and again before the writing begins: a bundle may have waited for its
signature for days, or for the power to come back.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.handles.path_params import MISSING
from appliance.mounts import FAT, disk_of, filesystem_of
from bundles.errors import FailedError, UsageError
from bundles.format import sums
from bundles.format.manifest import BundleManifest, volume_path
from bundles.format.media import PROFILES, MediumTooSmallError
from bundles.io.display import some
from bundles.io.files import failures_named, open_folder


@dataclass(frozen=True, slots=True)
class Medium:
    """A folder on a medium: `free` is bytes, `device` the file system's number (stat(2), st_dev), `inode` the folder's.
    `disk` is the mount point of the disk that it is but a folder of, "" where it is a medium
    (appliance.mounts.disk_of)."""

    path: Path
    free: int
    device: int
    inode: int = 0
    disk: str = ""


def look_at_all(paths: Sequence[Path], media_roots: Sequence[str]) -> list[Medium]:
    """The media that can be written, no folder twice, whatever its names.

    Raises UsageError for one that is given twice, FailedError naming a medium and what to do.
    """
    media = [look_at(path, media_roots) for path in paths]
    seen: dict[tuple[int, int], Medium] = {}
    for medium in media:
        first = seen.setdefault((medium.device, medium.inode), medium)
        if first is not medium:
            both = str(medium.path) if first.path == medium.path else f"{first.path} and {medium.path}"
            raise UsageError("a medium was given twice", thing=both, remedy="name each --out once")
    return media


def look_at(path: Path, media_roots: Sequence[str] = ()) -> Medium:
    """A medium that can be written: a folder that is there. Raises FailedError naming the medium and what to do,
    UsageError for a bundle's own folder."""
    with failures_named(path, "the medium cannot be used"):
        if not path.exists():
            raise FailedError("the medium's folder is not there", thing=str(path), remedy=MISSING)
        if not stat.S_ISDIR(path.stat().st_mode):
            raise FailedError("the medium is not a folder", thing=str(path), remedy="give the folder it is mounted on")
        descriptor = open_folder(path)
        try:
            status, usage = os.fstat(descriptor), os.statvfs(descriptor)
            disk = disk_of(descriptor, path, media_roots)
            writable = os.access(".", os.W_OK | os.X_OK, dir_fd=descriptor)
            is_bundle = all(_holds(descriptor, name) for name in (sums.NAME, sums.MANIFEST))
        finally:
            os.close(descriptor)
    if is_bundle:  # a further bundle in it would be a file that does not belong to it, and spoil the medium
        raise UsageError(
            "this is a bundle's own folder, not a medium",
            thing=str(path),
            remedy=f"name the folder that it lies in: {path.parent}",
        )
    if usage.f_flag & os.ST_RDONLY:
        raise FailedError("the medium is read-only", thing=str(path), remedy="clear its write-protection")
    if not writable:
        raise FailedError(
            "the medium may not be written by the station", thing=str(path), remedy="check its owner and mode"
        )
    return Medium(path, usage.f_bavail * usage.f_frsize, status.st_dev, status.st_ino, disk)


def _holds(descriptor: int, name: str) -> bool:
    """Whether a folder has an entry of that name."""
    try:
        os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return False
    return True


def on_disks(media: Iterable[Medium]) -> list[dict[str, str]]:
    """Those of the media that are folders of a disk, as a job's result says it: {path, disk}."""
    return [{"path": str(medium.path), "disk": medium.disk} for medium in media if medium.disk]


@contextlib.contextmanager
def folders_named(folders: Sequence[str]) -> Iterator[None]:
    """A medium that is too small for a volume is told by its folder: `folders`, in the order of the media."""
    try:
        yield
    except MediumTooSmallError as error:
        raise MediumTooSmallError(error.medium, folders[error.medium], error.free) from None


def room_on(media: Sequence[Medium], most: int | None = None) -> list[int]:
    """The bytes that each takes, at `most` so many: a folder that is to become a disc takes what the disc does.

    Folders of one file system share its room, in their order.
    """
    left = {medium.device: medium.free for medium in media}
    room = []
    for medium in media:
        room.append(left[medium.device] if most is None else min(left[medium.device], most))
        left[medium.device] -= room[-1]
    return room


def check_volume_size(media: Sequence[Medium], volume_size: int) -> None:
    """Raises FailedError for a FAT file system that cannot hold a volume of `volume_size` bytes."""
    for medium in media:
        if volume_size > PROFILES["fat32"] and filesystem_of(medium.device) in FAT:
            raise FailedError(
                "the medium's file system takes no files so large",
                thing=f"{medium.path} (FAT, at most {PROFILES['fat32']} bytes)",
                remedy="choose --volume fat32, or format it as exFAT",
            )


def by_number(manifest: BundleManifest, media: Sequence[Medium]) -> dict[int, Medium]:
    """The bundle's media, by number. Raises FailedError where fewer are given."""
    if manifest.volumes[-1].medium > len(media):
        raise FailedError(
            "a medium is missing",
            thing=f"{manifest.id} goes onto {some(manifest.volumes[-1].medium, 'medium', 'media')},"
            f" {len(media)} are given",
            remedy="give an --out for each",
        )
    return dict(enumerate(media, 1))


def check_room(manifest: BundleManifest, media: Mapping[int, Medium]) -> None:
    """Whether each medium takes those of its volumes that it does not hold yet. Raises FailedError with the numbers."""
    wanted: dict[int, int] = {}
    free: dict[int, int] = {}
    for volume in manifest.volumes:
        medium = media.get(volume.medium)
        if medium is None:
            continue
        path = medium.path / manifest.id / volume_path(volume.index)
        there = sum(held.stat().st_size for held in (path, path.with_name(path.name + ".part")) if held.is_file())
        wanted[medium.device] = wanted.get(medium.device, 0) + max(volume.size - there, 0)
        free[medium.device] = medium.free
    for medium in media.values():
        if wanted.get(medium.device, 0) > free.get(medium.device, 0):
            raise FailedError(
                "the medium has too little room",
                thing=f"{medium.path} ({wanted[medium.device]} bytes are needed, {medium.free} are free)",
                remedy="free some space on it, or take a larger one",
            )


def on_own_disk(media: Sequence[Medium], station: Path) -> dict[str, bool]:
    """By path, whether a medium lies on the file system of the station itself."""
    own = station.stat().st_dev
    return {str(medium.path): medium.device == own for medium in media}


def check_mounted(media: Sequence[Medium], station: Path, before: Mapping[str, bool]) -> None:
    """Refuse to write under the mount point of a medium that was there `before` and has been taken out since.

    Raises FailedError.
    """
    now = on_own_disk(media, station)
    for path, own in now.items():
        if own and not before.get(path, True):
            raise FailedError(
                "the medium is no longer mounted", thing=path, remedy="put it back and mount it, then run it again"
            )
