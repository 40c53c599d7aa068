"""Empties the graveyard: what lay there for its time of grace, and sooner where the disk needs the space, oldest first.

While imports are shut since a restore nothing is removed for its age: the metadata forgot what came in since the copy
was made, and a newer copy may be put back. Nor is it while a row of tags or links is damaged: it may stand for that.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.intake.stream_alarms import shut_streams
from appliance.limits import lifecycle as limits
from appliance.making_room import Emptied, Emptier
from appliance.station import Station
from appliance.store.graveyard import GRAVE_OPEN
from appliance.store.integrity import has_doubtful_rows, went_back


class Graves:
    """The graveyard of a station, emptied for `actor`. `attend` is told between two pieces of work and may
    raise. A clock that is set ahead ends no grave's time, and is recorded."""

    def __init__(self, station: Station, actor: str, attend: Callable[[], object] = lambda: None) -> None:
        self._station, self._yard = station, station.blobs.graveyard
        self._emptier = Emptier(station.blobs, station.reader, station.audit, actor, attend)

    def empty(self, grace: float) -> Emptied:
        """Remove for good what was collected more than `grace` seconds ago; 0: everything. Raises FailedError."""
        emptied = Emptied()
        for grave in self._due(grace):
            self._emptier.empty(grave, emptied)
        return emptied

    def would_empty(self, grace: float) -> Emptied:
        """What `empty` would remove. Raises FailedError."""
        emptied = Emptied()
        for grave in self._due(grace):
            for page in self._emptier.removable(grave):
                emptied.add(page)
        return emptied

    def make_room(self, size: int = limits.GRAVEYARD_ROOM, files: int = limits.GRAVEYARD_FILES) -> Emptied:
        """Remove for good, oldest first, until `size` bytes and `files` inodes are free on the store's file system, or
        nothing is left to remove. One statvfs where enough is free. Raises FailedError."""
        return self._emptier.make_room(lambda: self._is_free(size, files))

    def _is_free(self, size: int, files: int) -> bool:
        return self._emptier.is_free(size, files)

    def _due(self, grace: float) -> list[str]:
        if shut_since_a_restore(self._station) or has_doubtful_rows(self._station.reader):
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


def shut_since_a_restore(station: Station) -> str:
    """Why nothing is removed for good, "" where it is: that the database went back, or the first stream that a restore
    shut and nobody opened since."""
    if station.config.side != "inside":
        return ""
    if back := went_back(station.reader):
        return back
    return next(iter(shut_streams(station).values()), "")
