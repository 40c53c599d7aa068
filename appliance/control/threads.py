"""Work for a thread: reading the database off the event loop, on connections of the thread's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from appliance.station import Station, open_station

if TYPE_CHECKING:
    from appliance.control.api import Control

T = TypeVar("T")


def on_own_station(control: Control, work: Callable[[Station], T]) -> T:
    """`work` on connections of this thread's own."""
    station = open_station(control.station.paths.root, control.station.writer, control.station.config)
    try:
        return work(station)
    finally:
        station.metadata.close()
        station.reader.close()
