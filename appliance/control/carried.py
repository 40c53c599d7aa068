"""How long bundles take from their source's signature to their release here (M8), and how long one has waited."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance import clock
from appliance.limits import station as limits
from appliance.station import Station
from appliance.store.ports import Reader
from appliance.store.reads.intake import read_manifest
from appliance.store.reads.standing import arrivals
from bundles.errors import LockgateError


@dataclass(frozen=True, slots=True)
class Carried:
    """Seconds of a stream, by the source's clock and this station's: its newest released bundle took `took` (None: none
    was released), and the oldest that is here and not released has waited for `waited` (0: none waits)."""

    took: float | None
    waited: float


@dataclass(slots=True)
class CarriedTimes:
    """Knows when bundles were made: a manifest may be of 64 MiB and is read once."""

    _made: dict[str, float | None] = field(default_factory=dict)

    def of(self, station: Station) -> dict[str, Carried]:
        """Each stream that comes in. Blocking."""
        found, now = dict[str, Carried](), float(clock.seconds(clock.now()))
        streams = arrivals(station.reader, limits.METRIC_STREAMS)
        named = {digest for one in streams for digest in (one.released, one.waiting) if digest}
        self._made = {digest: self._made.get(digest) or _made(station.reader, digest) for digest in named}
        for one in streams:
            released, waiting = self._made.get(one.released), self._made.get(one.waiting)
            took = None if released is None else max(0.0, clock.seconds(one.released_at) - released)
            found[one.stream] = Carried(took, 0.0 if waiting is None else max(0.0, now - waiting))
        return found


def _made(reader: Reader, digest: str) -> float | None:
    try:
        return float(clock.seconds(read_manifest(reader, digest).created))
    except LockgateError:  # a damaged document is a check of its own
        return None
