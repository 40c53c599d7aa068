"""The station's own folder, which no path of anybody's leads into: found by device and inode, whatever the name.

A folder is the station's where the station's folder is on its way up (`..`), or where it is one of the station's own:
a bind mount has another way up. A file is the station's where it is one of its files: a hard link is found too.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance.paths import StationPaths
from bundles.errors import RefusedError
from bundles.verifier.places import whose_folder

_UP: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_DEEPEST: Final = 512
"""Folders on a way up; a path has 4,096 bytes, and a way of more is one that was made to be long."""


class Ground:
    """What belongs to the station in `root`, as it is now."""

    def __init__(self, paths: StationPaths) -> None:
        self._paths = paths
        status = paths.root.stat()
        self._top = (status.st_dev, status.st_ino)
        self._own = frozenset(_everything(paths))

    def require_outside(self, descriptor: int, shown: Path, *, is_folder: bool) -> None:
        """Raises RefusedError where what was opened is in the station's folder, or is that."""
        status = os.fstat(descriptor)
        if self._is_own((status.st_dev, status.st_ino)):
            raise inside(shown)
        if is_folder and any(here == self._top for _, here in _way_up(descriptor, shown)):
            raise inside(shown)

    def _is_own(self, one: tuple[int, int]) -> bool:
        """Whether it is one of the station's. What was may be gone, and its inode another's: it is looked at again
        while the other is open, and keeps its inode."""
        if one in self._own:
            self._own = frozenset(_everything(self._paths))
        return one in self._own


def require_no_station(descriptor: int, shown: Path) -> None:
    """A folder to be written to is not in a station on this machine, or a folder of trusted keys, whosever it is: one
    file too many there stops that station. Raises RefusedError."""
    for current, _ in _way_up(descriptor, shown):
        if what := whose_folder(functools.partial(_is_in, current)):
            raise RefusedError(f"this lies in {what}", thing=str(shown), remedy="give a folder of your own")


def _is_in(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _way_up(descriptor: int, shown: Path) -> Iterator[tuple[int, tuple[int, int]]]:
    """An opened folder and those above it, each with its device and inode. Raises RefusedError for too many."""
    current, seen = os.open(".", _UP, dir_fd=descriptor), (0, 0)
    try:
        for _ in range(_DEEPEST):
            status = os.fstat(current)
            here = (status.st_dev, status.st_ino)
            if here == seen:
                return
            yield current, here
            above, seen = os.open("..", _UP, dir_fd=current), here
            os.close(current)
            current = above
    finally:
        os.close(current)
    raise inside(shown)


def inside(shown: Path | str) -> RefusedError:
    """The error about a path into the station's folder."""
    return RefusedError(
        "this lies in the station's own folder", thing=str(shown), remedy="give a folder outside of the station"
    )


def _everything(paths: StationPaths) -> Iterator[tuple[int, int]]:
    """Device and inode of each folder of the station, and of each file but blobs, which are named by their content."""
    content = (str(paths.blobs), str(paths.uploads), str(paths.damaged))
    linked = (str(paths.root), str(paths.store))  # where an administrator may have put a part on another disk
    waiting = [str(paths.root)]
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            status = Path(folder).stat()
            yield status.st_dev, status.st_ino
            for entry in entries:
                if entry.is_dir(follow_symlinks=folder in linked):
                    waiting.append(entry.path)
                elif not folder.startswith(content):
                    yield status.st_dev, entry.inode()
