"""A job that the database was away from goes on by itself once it is back."""

from __future__ import annotations

import psycopg
import pytest

from appliance.paths import StationPaths
from tests.postgres.station import Station
from tests.postgres.test_server_away import manifest, until
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres


def test_a_job_that_the_database_was_away_from_is_taken_up_again(station: Station, postgres: PostgresServer) -> None:
    config = station.client.push_blob("team/app", b"{}")
    station.client.push_manifest("team/app", manifest(config), "v1")
    holding = psycopg.connect(postgres.conninfo(station.database))
    holding.execute("LOCK TABLE lockgate.scrub")  # the job reads it, and stands there
    job = station.json("scrub", "--detach")["job"]
    log = StationPaths(station.root).job_log(job)
    until(lambda: station.json("job", "show", job)["state"] == "running")
    postgres.kill()
    until(lambda: "the metadata was away" in (log.read_text() if log.exists() else ""))
    postgres.start()
    holding.close()
    until(lambda: station.client.ask("GET", "/readyz").status == 200)
    station.call("job", "watch", job)
    assert station.json("job", "show", job)["state"] == "done"
