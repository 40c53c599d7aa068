"""An outside station of its own for every test, and layouts and registries to collect from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.limits import collecting as limits
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import SmallRegistry, serving
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


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with serving(SmallRegistry()) as running:
        yield running


@pytest.fixture
def good() -> Iterator[SmallRegistry]:
    """Another registry, with which nothing is wrong."""
    with serving(SmallRegistry()) as running:
        running.image("team/good", "1", b"good")
        yield running


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the usual back-off."""
    monkeypatch.setattr(limits, "REMOTE_BACK_OFF", 0.001)
