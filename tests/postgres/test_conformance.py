"""The distribution specification over a store whose metadata is in PostgreSQL: the tests of tests/conformance, as they
stand there, of a whole push and pull and of deleting; every read is compared in store/test_same_answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.paths import StationPaths
from appliance.store.elsewhere import make_elsewhere
from tests.conformance.conftest import repository  # noqa: F401  a fixture of theirs
from tests.conformance.test_deleting import *  # noqa: F403
from tests.conformance.test_whole_flow import *  # noqa: F403
from tests.postgres_server import PostgresServer
from tests.registry_server import Server, Store

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("store")
    url = f"postgresql://lockgate@/{postgres.empty_database()}?host={postgres.folder}"
    make_elsewhere(StationPaths(root).database, url, "alpha")
    with Store(root) as store:
        yield store.serve()
        assert not store.paths.database.exists()
