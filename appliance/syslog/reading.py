"""Reads the audit log forwards in batches, from where a collector has got to. What the station wrote is told by its
MAC: anything else in the log's files is no event."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.audit.seals import seals_of
from appliance.limits import forwarding as limits
from appliance.paths import StationPaths
from bundles import limits as bundle_limits
from bundles.documents.audit_log import Segment, segments
from bundles.documents.audit_seal import Seals, read_sealed
from bundles.errors import RefusedError
from bundles.io.files import failures_named, open_regular


class Place(NamedTuple):
    """Where in a lane is read on: the segment's number, and the byte in it."""

    segment: int
    offset: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines as the log has them, each lane's in its order; `lost` events are not in the log any more. `heads` and
    `places` are where the log is read on once this is sent; `more`: there is more than this."""

    lines: tuple[bytes, ...]
    lost: int
    heads: Mapping[int, int]
    places: Mapping[int, Place]
    more: bool


@dataclass(slots=True)
class LogReader:
    """`heads` has the number of the last event of each lane that was sent."""

    paths: StationPaths
    heads: dict[int, int] = field(default_factory=dict)
    _places: dict[int, Place] = field(default_factory=dict)

    def read(self) -> Batch:
        """The next batch; the same again until it is `taken`. Blocking. Raises FailedError."""
        lanes: dict[int, list[Segment]] = {}
        for segment in segments(self.paths.audit):
            lanes.setdefault(segment.lane, []).append(segment)
        found = _Found(seals_of(self.paths), dict(self.heads), dict(self._places))
        for lane, mine in lanes.items():
            found.read_lane(lane, mine)
        more = found.size >= limits.SYSLOG_BATCH
        return Batch(tuple(found.lines), found.lost, found.heads, found.places, more)

    def taken(self, batch: Batch) -> None:
        """Go on behind a batch."""
        self.heads, self._places = dict(batch.heads), dict(batch.places)


@dataclass(slots=True)
class _Found:
    seals: Seals
    heads: dict[int, int]
    places: dict[int, Place]
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    lost: int = 0
    _newest: int = 0

    def read_lane(self, lane: int, mine: list[Segment]) -> None:
        """Add a lane's next events. Where what is known to be sent is more than the whole lane has (the log is an older
        copy, or somebody raised it), nothing of the lane counts as sent: twice is better than never."""
        is_first, self._newest = lane not in self.places, 0
        at = self.places.get(lane, Place(mine[0].number, 0))
        for segment in mine:
            if segment.number < at.segment:
                continue
            if not self._read(segment, at.offset if segment.number == at.segment else 0):
                break
        if is_first and self.size < limits.SYSLOG_BATCH and 0 < self._newest < self.heads.get(lane, 0):
            del self.heads[lane], self.places[lane]

    def _read(self, segment: Segment, offset: int) -> bool:
        """Add a segment's lines from a byte on; False where no more is to be read."""
        try:
            descriptor = open_regular(segment.path)
        except RefusedError:  # no file of the log's
            return True
        with os.fdopen(descriptor, "rb") as file, failures_named(segment.path, "the audit log cannot be read"):
            file.seek(offset)
            while line := file.readline(bundle_limits.AUDIT_LINE + 1):
                if not line.endswith(b"\n"):  # being written
                    return False
                if self.size >= limits.SYSLOG_BATCH:
                    return False
                self._take(segment.lane, line)
                self.places[segment.lane] = Place(segment.number, file.tell())
        return True

    def _take(self, lane: int, line: bytes) -> None:
        sealed = read_sealed(line)
        if sealed is None or sealed.lane != lane or not self.seals.hold(sealed):
            return
        self._newest = max(self._newest, sealed.seq)
        if sealed.seq <= self.heads.get(lane, 0):
            return
        self.lost += sealed.seq - 1 - self.heads.get(lane, 0)  # they were not sent, and are not there any more
        self.heads[lane] = sealed.seq
        self.lines.append(line)
        self.size += len(line)
