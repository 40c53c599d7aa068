"""A station's folder with an audit log for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from tests.access.live import Live
from tests.observe.canary import canary_station
from tests.observe.station import make


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    return make(tmp_path / "bravo")


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A closed station with the canary base/canary:1, which `robot-canary` may pull."""
    with canary_station(tmp_path) as station:
        yield station
