"""Home says that a station is read-only, and since when, and stops saying so."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.api.status import ReadOnly, Status
from tests.console.doubles.station import DemoStation

WHY = "1.0 MB are free, and at least 33.6 MB are needed"


class Full(DemoStation):
    """A demo station whose disk is nearly full, until there is room."""

    full = True

    async def status(self) -> Status:
        status = await super().status()
        if not self.full:
            return status
        only = ReadOnly(since="2026-07-04T08:15:00Z", why=WHY)
        return msgspec.structs.replace(status, read_only=only, alerts=(*status.alerts, f"space: read-only: {WHY}"))


async def test_home_says_that_the_station_is_read_only_until_it_is_not(drive: Any) -> None:
    station = Full()
    async with drive(station=station) as console:
        await console.shows("read-only since")
        assert "space: read-only: 1.0 MB" in console.screen()
        station.full = False
        await console.app.look_at_station()
        await console.until(lambda: "read-only" not in console.screen(), "there is room again")
