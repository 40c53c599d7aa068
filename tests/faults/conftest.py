"""Where a store lives while it is being broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.paths import StationPaths


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    return StationPaths(tmp_path)
