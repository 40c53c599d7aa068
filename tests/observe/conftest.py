"""A station's folder with an audit log for every test that asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.paths import StationPaths
from tests.observe.station import make


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    return make(tmp_path / "bravo")
