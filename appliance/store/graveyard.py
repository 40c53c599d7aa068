"""Where collected blobs wait before they are removed for good: `graveyard/<time>/<algorithm>-<hex>`.

On the blobs' file system, so that a blob goes there and comes back by a rename. A folder (a grave) holds what was
collected within a minute of the time in its name; nothing else is recorded, so that a database which was put back from
a backup changes nothing here. Files only, no SQLite.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import scandir
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.paths import StationPaths
from appliance.store import grave_age
from appliance.store.files import Files, explain
from appliance.store.grave_age import Waited
from bundles.errors import MalformedError
from bundles.oci.digest import Digest

_GRAVE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d)(\d\d)(\d\d)Z\Z", re.ASCII)
GRAVE_OPEN: Final = 60
"""Seconds for which blobs are added to a grave."""


@dataclass(frozen=True, slots=True)
class Buried:
    """A collected blob: its grave, its digest and its bytes."""

    grave: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Blobs and bytes; `oldest` is the time of the oldest grave, "" where there is none."""

    blobs: int = 0
    bytes: int = 0
    oldest: str = ""


class Graveyard:
    """The graveyard of one store."""

    def __init__(self, paths: StationPaths, files: Files) -> None:
        self._paths, self._files = paths, files
        self._folder = paths.graveyard
        self._open = ""
        self._counted: dict[str, tuple[int, int, int]] = {}

    def bury(self, digests: Iterable[Digest]) -> None:
        """Move the files of blobs that no row names any more into a grave; their names there are durable on return.
        A blob without a file is passed over. The caller holds the store's gate. Raises FailedError."""
        before = self._open
        grave = self._folder / self._grave()
        moved = False
        try:
            self._files.make_folder(grave)
            if self._open != before:
                self._files.sync_folder(self._folder)
                self._files.sync_folder(self._folder.parent)
                self.waited()  # from now on, whatever becomes of the clock before the next look
            for digest in digests:
                with contextlib.suppress(FileNotFoundError):
                    self._files.rename(self._paths.blob(digest), grave / _name(digest))
                    moved = True
            if moved:
                self._files.sync_folder(grave)
        except OSError as error:
            self._open = ""
            raise explain(error, grave) from None

    def find(self, digest: Digest) -> Path | None:
        """The newest file of a collected blob. A stat for each grave. Raises FailedError."""
        for grave in reversed(self.graves()):
            path = self._folder / grave / _name(digest)
            if path.is_file():
                return path
        return None

    def holds(self, grave: str, digest: Digest) -> bool:
        """Whether a collected blob lies in a grave. A stat."""
        return (self._folder / grave / _name(digest)).is_file()

    def give_back(self, grave: str, digest: Digest) -> None:
        """Give a collected file, which lies in `grave` and the caller has read, its place among the blobs again;
        durable on return. The caller holds the store's gate alone. Raises FailedError."""
        path, target = self._folder / grave / _name(digest), self._paths.blob(digest)
        try:
            self._files.rename(path, target)
            self._files.sync_folder(target.parent)
        except OSError as error:
            raise explain(error, path) from None

    def graves(self) -> list[str]:
        """The graves' names, oldest first. Raises FailedError."""
        try:
            return sorted(entry.name for entry in scandir(self._folder) if _GRAVE.match(entry.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise explain(error, self._folder) from None

    def waited(self) -> Waited:
        """How long each grave has waited, whatever the wall clock says. Blocking, a sync. Raises FailedError."""
        return grave_age.look(self._paths.graves_waited, self.graves(), made)

    def buried(self, grave: str) -> Iterator[Buried]:
        """What lies in a grave, in no order. Raises FailedError."""
        try:
            with scandir(self._folder / grave) as entries:
                for entry in entries:
                    algorithm, _, hexadecimal = entry.name.partition("-")
                    with contextlib.suppress(MalformedError, FileNotFoundError):
                        digest = Digest(algorithm, hexadecimal)
                        yield Buried(grave, digest, entry.stat(follow_symlinks=False).st_size)
        except FileNotFoundError:
            return
        except OSError as error:
            raise explain(error, self._folder / grave) from None

    def remove(self, buried: Buried) -> None:
        """Remove a collected blob for good. Harmless where it was given back. Raises FailedError."""
        path = self._folder / buried.grave / _name(buried.digest)
        try:
            self._files.remove(path)
        except OSError as error:
            raise explain(error, path) from None

    def close(self, grave: str) -> None:
        """Remove a grave's folder, if nothing lies in it."""
        if grave == self._open:
            self._open = ""
        with contextlib.suppress(OSError):
            (self._folder / grave).rmdir()

    def totals(self) -> Totals:
        """What lies in all graves. Counts those that changed since the last call: about a second for a million blobs.
        Raises FailedError."""
        graves = self.graves()
        counted = {}
        for grave in graves:
            try:
                changed = (self._folder / grave).stat().st_mtime_ns
            except OSError:
                continue
            known = self._counted.get(grave)
            if known is None or known[0] != changed:
                sizes = [buried.size for buried in self.buried(grave)]
                known = (changed, len(sizes), sum(sizes))
            counted[grave] = known
        self._counted = counted
        filled = [grave for grave in graves if counted.get(grave, (0, 0, 0))[1]]
        return Totals(
            sum(each[1] for each in counted.values()),
            sum(each[2] for each in counted.values()),
            made(filled[0]) if filled else "",
        )

    def _grave(self) -> str:
        """The name of the grave that is open now."""
        now = clock.now()
        if self._open:
            age = clock.seconds(now) - clock.seconds(made(self._open))
            if 0 <= age < GRAVE_OPEN and (self._folder / self._open).is_dir():
                return self._open
        self._open = now.replace(":", "")
        return self._open


def made(grave: str) -> str:
    """The time in a grave's name."""
    return f"{grave[:13]}:{grave[13:15]}:{grave[15:]}"


def _name(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}"
