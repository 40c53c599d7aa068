"""Makes room from the graveyard, oldest first: for who finds too little, before it is refused.

A collected blob that the metadata names, and whose file is not among the blobs, is never removed: a backup of the
database was put back, or a scrub withdrew the blob. Whoever looks next gives it back (appliance.lifecycle.damage).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.port import AuditPort
from appliance.limits import lifecycle as lifecycle_limits
from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader
from appliance.store.graveyard import Buried, made
from appliance.store.ports import Reader
from appliance.store.reads import garbage
from appliance.store.reserve import Room
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


class Emptier:
    """Removes graves of a store for good, for `actor`. `attend` is told between two pieces of work and may raise."""

    def __init__(
        self,
        blobs: BlobStore,
        reader: Reader,
        audit: AuditPort,
        actor: str,
        attend: Callable[[], object] = lambda: None,
    ) -> None:
        self._blobs, self._reader, self._audit = blobs, reader, audit
        self._actor, self._attend = actor, attend
        self._yard = blobs.graveyard

    def make_room(self, enough: Callable[[], bool]) -> Emptied:
        """Remove for good, oldest first, until there is room `enough`, or nothing is left to remove. Raises
        FailedError."""
        emptied = Emptied()
        for grave in self._yard.graves():
            if enough():
                break
            self.empty(grave, emptied, enough)
        return emptied

    def empty(self, grave: str, emptied: Emptied, enough: Callable[[], bool] = lambda: False) -> None:
        """Remove a grave for good, until `enough` says so. Raises FailedError."""
        pages = self.removable(grave)
        first = next(pages, None)
        if first is not None:
            event = AuditEvent(Act.GC_EMPTY, self._actor, "graveyard", "done", {"collected": made(grave)})
            with recording(self._audit, event):
                while first is not None and not enough():
                    for buried in first:
                        self._yard.remove(buried)
                    emptied.add(first)
                    self._attend()
                    first = next(pages, None)
        self._yard.close(grave)

    def removable(self, grave: str) -> Iterator[list[Buried]]:
        """What may go of a grave, some at a time. Raises FailedError."""
        buried = self._yard.buried(grave)
        while page := list(islice(buried, _LOOK)):
            named = garbage.with_rows(self._reader, (str(each.digest) for each in page))
            yield [each for each in page if str(each.digest) not in named or self._is_held(each)]

    def is_free(self, size: int, files: int) -> bool:
        """Whether so many bytes and inodes are free on the store's file system. One statvfs.
        Of a bucket nothing is known: it is free."""
        if self._blobs.is_remote:
            return True
        status = os.statvfs(self._blobs.uploads)
        inodes = status.f_favail >= files or status.f_files == 0
        return inodes and status.f_bavail * status.f_frsize >= size

    def _is_held(self, buried: Buried) -> bool:
        try:
            return self._blobs.has_blob(buried.digest)
        except LockgateError:
            return False  # it cannot be said, so the copy stays


def give_room(paths: StationPaths, blobs: BlobStore, audit: AuditPort) -> None:
    """Let a store make room from its graveyard before it refuses content. A bucket's graveyard is not on the disk that
    arrivals need."""
    if blobs.is_remote:
        return
    blobs.make_room = RoomMaker(paths, blobs, audit).make_room


class RoomMaker:
    """Makes room for one process's store. Threads wait for the one that does it."""

    def __init__(self, paths: StationPaths, blobs: BlobStore, audit: AuditPort) -> None:
        self._paths, self._blobs, self._audit = paths, blobs, audit
        self._turn = threading.Lock()
        self._nothing_until = 0.0

    def make_room(self, size: int) -> bool:
        """Remove collected content until `size` bytes are free beside what makes a station take content in; whether
        anything was removed. Not asked again for a while where there was nothing. Raises FailedError."""
        with self._turn:
            if time.monotonic() < self._nothing_until:
                return False
            room = Room.of(self._blobs.uploads)
            if size > room.free + self._blobs.graveyard.totals().bytes:
                return False  # all of it would be too little: what waits there stays
            least = (limits.RESERVE_ROOM + 1) * room.bytes_kept + size
            with closing(open_reader(self._paths.database)) as reader:
                emptier = Emptier(self._blobs, reader, self._audit, "station")
                fewest = (limits.RESERVE_ROOM + 1) * room.files_kept + 1
                emptied = emptier.make_room(lambda: emptier.is_free(least, fewest))
            if not emptied.blobs:
                self._nothing_until = time.monotonic() + lifecycle_limits.GRAVEYARD_NOTHING
            return bool(emptied.blobs)
