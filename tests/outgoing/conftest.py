"""An outside station of its own for every test, and a layout to collect from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.outgoing.outside import Outside
from tests.peers.stock import Layout


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with Outside(tmp_path / "alpha") as station:
        yield station


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty layout in a folder called `tools`."""
    return Layout(tmp_path / "tools")


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    folder = tmp_path / "medium"
    folder.mkdir()
    return folder
