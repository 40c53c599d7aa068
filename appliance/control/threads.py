"""Work for a thread: reading the database off the event loop, on connections of the thread's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from appliance.station import Station, open_station

T = TypeVar("T")


def on_own_station(shared: Station, work: Callable[[Station], T]) -> T:
    """`work` on connections of this thread's own, to the station that `shared` is open on."""
    station = open_station(shared.paths.root, shared.writer, shared.config)
    try:
        return work(station)
    finally:
        station.metadata.close()
        station.reader.close()
