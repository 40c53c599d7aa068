"""Whole stations whose metadata is in a real PostgreSQL: the program itself, started as an operator starts it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres.station import Station
from tests.postgres_server import PostgresServer, running_server


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """One server for the tests of a module: some of them kill it."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def station(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """An open outside station that serves from a database of its own."""
    made = Station(tmp_path_factory.mktemp("stations") / "alpha", postgres, postgres.empty_database())
    made.make("--open")
    made.start()
    yield made
    made.stop()
