"""One closed station for each module of tests: people bring bundles of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.release.closed import Closed


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    station = Closed(tmp_path_factory.mktemp("closed"))
    yield station
    station.stop()
