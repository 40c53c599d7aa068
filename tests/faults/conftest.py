"""Where a store lives while it is being broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.paths import StationPaths
from tests.lifecycle.conftest import kept
from tests.outgoing.conftest import layout, outside
from tests.registry.conftest import store

__all__ = ["kept", "layout", "outside", "paths", "store"]


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    return StationPaths(tmp_path)
