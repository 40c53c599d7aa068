"""What is the station's own is found by its inode, as long as it is the station's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.handles.ground import Ground
from appliance.paths import StationPaths
from bundles.errors import RefusedError
from tests.intake.inside import make_station


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    make_station(tmp_path / "bravo")
    return StationPaths(tmp_path / "bravo")


def held(path: Path) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def test_a_hard_link_to_a_file_of_the_station_is_the_stations(paths: StationPaths, tmp_path: Path) -> None:
    link = tmp_path / "link"
    os.link(paths.config, link)
    with pytest.raises(RefusedError):
        Ground(paths).require_outside(held(link), link, is_folder=False)


def test_an_inode_that_was_the_stations_and_is_anothers_is_not(paths: StationPaths, tmp_path: Path) -> None:
    """A file system gives the inode of a file that went to the next one: here by a link, at will."""
    passing, next_one = paths.root / "passing", tmp_path / "next"
    passing.write_bytes(b"")
    ground = Ground(paths)
    os.link(passing, next_one)
    with pytest.raises(RefusedError):
        ground.require_outside(held(next_one), next_one, is_folder=False)
    passing.unlink()
    ground.require_outside(held(next_one), next_one, is_folder=False)
