"""How many blobs the store holds, and their bytes, without reading the whole table at each look at the station."""

from __future__ import annotations

import time

from appliance.limits import station as limits
from appliance.station import Station
from appliance.store import commits


class StoreTotals:
    """Counts anew where the database holds other commits than at the last count. Where counting takes long, what was
    counted is kept for `limits.TOTALS_SHARE` times as long as that took, so that a look at the station costs little
    while content comes in."""

    def __init__(self) -> None:
        self._commits: int | None = None
        self._until = 0.0
        self._found = (0, 0)

    def of(self, station: Station) -> tuple[int, int]:
        """Blobs and bytes. On the thread of the station's connection."""
        held = commits.held(station.reader)  # read first: a write during the count makes the next look count again
        if held is None or (held != self._commits and time.monotonic() >= self._until):
            began = time.thread_time()
            self._found = station.metadata.totals()
            took = time.thread_time() - began
            kept = took * limits.TOTALS_SHARE if took > limits.TOTALS_QUICK else 0.0
            self._commits, self._until = held, time.monotonic() + kept
        return self._found
