"""A station with stages: one for the tests of a module, with repositories of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.promotion.desk import Desk, desk


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("stages") / "bravo") as opened:
        yield opened


@pytest.fixture
def at(station: Desk) -> Desk:
    station.new()
    return station
