"""Empties the graveyard: what lay there for its time of grace, and sooner where the disk needs the space, oldest first.

A collected blob that the metadata names, and whose file is not among the blobs, is never removed: a backup of the
database was put back, or a scrub withdrew the blob. Whoever looks next gives it back (appliance.lifecycle.damage).
While imports are shut since a restore nothing is removed for its age: the metadata forgot what came in since the copy
was made, and a newer copy may be put back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from appliance import limits
from appliance.intake.silence import shut_streams
from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent
from appliance.observe.recorded import recording
from appliance.station import Station
from appliance.store import garbage
from appliance.store.graveyard import GRAVE_OPEN, Buried, made
from bundles.errors import LockgateError

_LOOK: Final = 64
"""Files removed between two looks at what is free."""


@dataclass(slots=True)
class Emptied:
    """Blobs that were removed for good, or would be, and their bytes."""

    blobs: int = 0
    bytes: int = 0

    def add(self, buried: list[Buried]) -> None:
        self.blobs += len(buried)
        self.bytes += sum(each.size for each in buried)


class Graves:
    """The graveyard of a station, emptied for `actor`. `attend` is told between two pieces of work and may
    raise. A clock that is set ahead ends no grave's time, and is recorded."""

    def __init__(self, station: Station, actor: str, attend: Callable[[], object] = lambda: None) -> None:
        self._station, self._actor, self._attend = station, actor, attend
        self._yard = station.blobs.graveyard

    def empty(self, grace: float) -> Emptied:
        """Remove for good what was collected more than `grace` seconds ago; 0: everything. Raises FailedError."""
        emptied = Emptied()
        for grave in self._due(grace):
            self._empty(grave, emptied, lambda: False)
        return emptied

    def would_empty(self, grace: float) -> Emptied:
        """What `empty` would remove. Raises FailedError."""
        emptied = Emptied()
        for grave in self._due(grace):
            for page in self._removable(grave):
                emptied.add(page)
        return emptied

    def make_room(self, size: int = limits.GRAVEYARD_ROOM, files: int = limits.GRAVEYARD_FILES) -> Emptied:
        """Remove for good, oldest first, until `size` bytes and `files` inodes are free on the store's file system, or
        nothing is left to remove. One statvfs where enough is free. Raises FailedError."""
        emptied = Emptied()
        for grave in self._yard.graves():
            if self._is_free(size, files):
                break
            self._empty(grave, emptied, lambda: self._is_free(size, files))
        return emptied

    def _due(self, grace: float) -> list[str]:
        if shut_since_a_restore(self._station):
            return []
        graves = self._yard.graves()
        if not grace or not graves:
            return graves
        waited = self._yard.waited()
        if waited.jump > 0:
            self._say_jump(waited.jump, len(graves))
        return [grave for grave in graves if waited.has(grave, grace + GRAVE_OPEN)]

    def _say_jump(self, seconds: float, graves: int) -> None:
        detail = {"seconds": int(seconds), "graves": graves}
        self._station.audit.record(
            AuditEvent(Act.CLOCK_SET_AHEAD, "station", self._station.config.site, "done", detail)
        )

    def _is_free(self, size: int, files: int) -> bool:
        status = os.statvfs(self._station.paths.store)
        inodes = status.f_favail >= files or status.f_files == 0
        return inodes and status.f_bavail * status.f_frsize >= size

    def _empty(self, grave: str, emptied: Emptied, enough: Callable[[], bool]) -> None:
        pages = self._removable(grave)
        first = next(pages, None)
        if first is not None:
            event = AuditEvent(Act.GC_EMPTY, self._actor, "graveyard", "done", {"collected": made(grave)})
            with recording(self._station.audit, event):
                while first is not None and not enough():
                    for buried in first:
                        self._yard.remove(buried)
                    emptied.add(first)
                    self._attend()
                    first = next(pages, None)
        self._yard.close(grave)

    def _removable(self, grave: str) -> Iterator[list[Buried]]:
        buried = self._yard.buried(grave)
        while page := list(islice(buried, _LOOK)):
            named = garbage.with_rows(self._station.reader, (str(each.digest) for each in page))
            yield [each for each in page if str(each.digest) not in named or self._is_held(each)]

    def _is_held(self, buried: Buried) -> bool:
        try:
            return self._station.blobs.has_blob(buried.digest)
        except LockgateError:
            return False  # it cannot be said, so the copy stays


def shut_since_a_restore(station: Station) -> str:
    """Why nothing is removed for good, "" where it is: the first stream that a restore shut and nobody opened since."""
    if station.config.side != "inside":
        return ""
    return next(iter(shut_streams(station).values()), "")
