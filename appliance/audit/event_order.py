"""In which order events of several lanes happened, by what the log proves and not by the wall clock alone.

Events of one lane are in its chain's order. Between lanes checkpoints prove it: each names the last event of every
lane, so that what it covers happened before what it does not. Between two checkpoints (an epoch) there is the wall
clock, and it counts unless something shows that it was set back in that epoch: an event that says so, or times that do
not fit between the two checkpoints.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from bundles.documents.audit_checkpoint import Checkpoint

_SECOND: Final = 1_000_000
SLACK: Final = 2 * _SECOND
"""Microseconds by which a checkpoint's time, which is in whole seconds, may differ from those of its events."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands: the number of checkpoints before it, its lane, and its number there."""

    epoch: int
    lane: int
    seq: int


class EventOrder:
    """The order of a log's events. Events are to be passed to `note` before `is_after` is asked."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._created = [clock.seconds(one.created) * _SECOND for one in checkpoints]
        self._covered: dict[int, list[int]] = {}
        for number, one in enumerate(checkpoints):
            for lane in one.lanes:
                heads = self._covered.setdefault(lane.lane, [0] * len(checkpoints))
                heads[number] = lane.seq
        for heads in self._covered.values():
            for number in range(1, len(heads)):
                heads[number] = max(heads[number], heads[number - 1])
        self._doubtful: set[int] = set()
        for number in range(1, len(self._created)):
            if self._created[number] + SLACK < self._created[number - 1]:
                self._doubtful.add(number)

    def place(self, event: Mapping[str, Any]) -> Place:
        """Where an event stands."""
        lane, seq = int(event["lane"]), int(event["seq"])
        return Place(bisect_left(self._covered.get(lane, [0] * len(self._created)), seq), lane, seq)

    def key(self, event: Mapping[str, Any]) -> tuple[int, int, int, int]:
        """What events are sorted by. Within a lane it may go back: whoever merges keeps each lane's own order."""
        place = self.place(event)
        return place.epoch, int(event["micros"]), place.lane, place.seq

    def note(self, event: Mapping[str, Any]) -> None:
        """See whether an event shows that the clock was set back."""
        place, micros = self.place(event), int(event["micros"])
        after = self._created[place.epoch - 1] if place.epoch else micros
        before = self._created[place.epoch] if place.epoch < len(self._created) else clock.micros()
        if micros < after - SLACK or micros > before + SLACK:
            self._doubtful.add(place.epoch)
        if event["act"] == Act.CLOCK_SET_BACK:
            since = self.place({"lane": place.lane, "seq": place.seq - 1})
            self._doubtful.update(range(since.epoch, place.epoch + 1))

    def is_doubtful(self, place: Place) -> bool:
        """Whether the clock counts for nothing between the lanes of that time."""
        return place.epoch in self._doubtful

    def is_after(self, later: Place, earlier: Place) -> bool:
        """Whether it is proven that one event happened after another, of which it stands behind in the order."""
        if later.epoch != earlier.epoch:
            return later.epoch > earlier.epoch
        if later.lane == earlier.lane:
            return later.seq > earlier.seq
        return later.epoch not in self._doubtful
