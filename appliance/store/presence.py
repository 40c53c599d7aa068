"""Whether the store's folder is the station's own, or something else lies in its place: the empty folder below a mount
that is away, another disk, or nothing.

A missing file of a blob says nothing while the store is away. So the station keeps a random id beside its settings
(`store-id`) and the same file in the store (`blobs/store-id`): where the second is missing or differs, nothing is
called missing, and nothing is written that a later mount would hide. A station without the first file has no such mark;
the control process makes both when it starts.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Final

from appliance.paths import StationPaths
from bundles.errors import FailedError
from bundles.io.files import failures_named, write_atomic
from bundles.oci.digest import ALGORITHMS

_LARGEST: Final = 4096
"""Bytes of the file: an id and two numbers."""

_MODE: Final = 0o600

_CONFIRMED: Final = "confirmed-empty"
"""Beside the folders: a person said that an empty store is the station's. It goes once the store holds a blob."""
_NO_INODE: Final = 0
"""No folder has it: kept for folders that were empty at a start, which are others than the station's."""


class StoreAwayError(FailedError):
    """The store is not in its place: nothing is known about any blob, and nothing may be written."""


class FolderAwayError(StoreAwayError):
    """The store's folder is another one, or not there."""

    def __init__(self, paths: StationPaths, why: str) -> None:
        super().__init__(
            "the store is not in its place",
            thing=f"{paths.blobs} ({why})",
            remedy=f"mount it again; to go on with what is there, stop the station, mv {paths.store_id} "
            f"{paths.store_mark}, and start it",
        )


class Presence:
    """Looks whether a store is in its place. Cheap enough for each push: a stat where nothing changed."""

    def __init__(self, paths: StationPaths) -> None:
        self._paths = paths
        with failures_named(paths.store_id, "the station's mark of its store cannot be read"):
            self._wanted, self._folders = _read(paths.store_id)
        self._seen: tuple[int, int, int, int] | None = None

    def require(self) -> None:
        """Raises StoreAwayError where the store is not in its place. About 5 µs."""
        if why := self.away():
            raise FolderAwayError(self._paths, why)

    def away(self) -> str:
        """Why the store is not in its place; "" where it is, or where the station has no mark."""
        if not self._wanted:
            return ""
        try:
            status = self._paths.store_mark.lstat()
            now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if now != self._seen:
                if _read(self._paths.store_mark)[0] != self._wanted:
                    return f"its {self._paths.store_mark.name} is not this station's"
                self._seen = now
            return self._exchanged()
        except FileNotFoundError:
            return f"its {self._paths.store_mark.name} is missing"
        except OSError as error:
            return error.strerror or type(error).__name__

    def _exchanged(self) -> str:
        """Whether a folder of blobs is gone, or others than when the station started are there, and empty: a copy of
        the store has other inodes, too, and holds blobs. Raises OSError."""
        others = []
        for folder in _folders_of(self._paths):
            try:
                inode = folder.stat().st_ino
            except FileNotFoundError:
                return f"its folder {folder.name} is missing"
            if inode != self._folders.get(folder.name, inode):
                others.append(folder)
        if others and not any(map(_holds_any, others)):
            return f"its folder {others[0].name} was exchanged for an empty one, or emptied"
        return ""


def settle(paths: StationPaths, *, named: bool) -> None:
    """Make the mark where there is none, and remember which folders are the store's. For a station that starts.
    `named`: whether the database names any blob. Raises FailedError.

    A store without a single file, of a station whose database names some, gets no mark, and is away with a copy of the
    mark, too: until a person moves the station's own mark into it.
    """
    with failures_named(paths.store_id, "the store cannot be marked"):
        known = _read(paths.store_id)
        wanted, folders = known
        found = _mark_of(paths)
        if not wanted:
            wanted = found or secrets.token_hex(16)
            if not found and (not named or any(map(_holds_any, _folders_of(paths)))):
                paths.blobs.mkdir(parents=True, exist_ok=True)
                _write(paths.store_mark, wanted, {})
                found = wanted
        if found == wanted:
            for folder in _folders_of(paths):
                folder.mkdir(exist_ok=True)
            empty = named and not any(map(_holds_any, _folders_of(paths)))
            confirmed = empty and (not known[0] or _CONFIRMED in known[1])
            folders = {
                folder.name: _NO_INODE if empty and not confirmed else folder.stat().st_ino
                for folder in _folders_of(paths)
            } | ({_CONFIRMED: 1} if confirmed else {})
        if (wanted, folders) != known:
            _write(paths.store_id, wanted, folders)


def _folders_of(paths: StationPaths) -> list[Path]:
    return [paths.blobs / algorithm for algorithm in ALGORITHMS]


def _holds_any(folder: Path) -> bool:
    """Whether anything lies in a folder, which may be missing. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False


def _mark_of(paths: StationPaths) -> str:
    try:
        return _read(paths.store_mark)[0]
    except OSError:
        return ""


def _read(path: Path) -> tuple[str, dict[str, int]]:
    """The id in a file, and the inodes of the store's folders; "" where the file is missing or holds none. Raises
    OSError."""
    try:
        with path.open("rb") as file:
            held = json.loads(file.read(_LARGEST))
        return str(held["id"]), {str(name): int(inode) for name, inode in held["folders"].items()}
    except FileNotFoundError:
        return "", {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", {}


def _write(path: Path, wanted: str, folders: dict[str, int]) -> None:
    text = json.dumps({"id": wanted, "folders": folders}, sort_keys=True)
    write_atomic(path, text.encode(), _MODE, owned=True)
