"""A server that came back under a writer: gone on with where it has what it confirmed, refused where it lacks it; and
a database is one station's, with one writer."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from appliance.limits import store as limits
from appliance.store.postgres.engine import PostgresEngine
from appliance.store.whereabouts import Whereabouts
from appliance.store.writer import LocalWriter
from appliance.store.writes.registry import BumpEpoch
from bundles.errors import FailedError
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

ALPHA = Whereabouts(url="", station="a" * 32, site="alpha")
BRAVO = Whereabouts(url="", station="b" * 32, site="bravo")


def cut(postgres: PostgresServer, database: str) -> None:
    """End every connection to a database."""
    postgres.administer(
        f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{database}'"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


@pytest.mark.parametrize("lacks", [False, True])
def test_a_server_that_lacks_what_it_confirmed_is_written_to_no_more(postgres: PostgresServer, lacks: bool) -> None:
    database = postgres.empty_database()
    with closing(PostgresEngine(postgres.conninfo(database)).open_writer()) as connection:
        writer = LocalWriter(connection)
        assert writer.submit(BumpEpoch()) > 1
        cut(postgres, database)
        if not lacks:
            writer.submit(BumpEpoch())
            return
        postgres.administer("DELETE FROM lockgate.written", database)
        for _ in range(2):
            with pytest.raises(FailedError, match="lost what it had confirmed"):
                writer.submit(BumpEpoch())


def test_a_database_is_one_stations_and_has_one_writer(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "POSTGRES_TURN", 0.1)
    database = postgres.empty_database()
    conninfo = postgres.conninfo(database)
    with pytest.raises(FailedError, match="holds no station's metadata"):
        PostgresEngine(conninfo, ALPHA).open_reader()
    PostgresEngine(conninfo).claim(ALPHA)
    for where in (BRAVO, ALPHA):
        with pytest.raises(FailedError, match="of site alpha"):
            PostgresEngine(conninfo).claim(where)
    with pytest.raises(FailedError, match="of site alpha"):
        PostgresEngine(conninfo, BRAVO).open_reader()
    own = PostgresEngine(conninfo, ALPHA)
    with closing(own.open_writer()) as connection:
        with pytest.raises(FailedError, match="another process writes"):
            own.open_writer()
        own.open_reader().close()
        LocalWriter(connection).submit(BumpEpoch())
        cut(postgres, database)
        LocalWriter(connection).submit(BumpEpoch())  # it takes the lock again
        with pytest.raises(FailedError, match="another process writes"):
            own.open_writer()
    PostgresEngine(conninfo).let_go(BRAVO)
    own.open_reader().close()
    PostgresEngine(conninfo).let_go(ALPHA)
    PostgresEngine(conninfo).require_free()


def test_a_schema_of_a_newer_version_and_a_standby_are_refused_in_a_line(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    database = postgres.empty_database()
    engine = PostgresEngine(postgres.conninfo(database))
    engine.claim(ALPHA)
    postgres.administer(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises(FailedError, match="takes no writes"):
        engine.open_writer()
    postgres.administer(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    postgres.administer("INSERT INTO lockgate.steps (name) VALUES ('m9999_future')", database)
    with pytest.raises(FailedError, match="newer version"):
        engine.open_writer()
