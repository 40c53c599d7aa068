"""PostgreSQL killed under a station, and changed by others: nothing acknowledged is lost, nothing stale is served, and
the station comes back by itself."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundles.oci.digest import Digest
from tests.postgres.station import Station
from tests.postgres_server import PostgresServer
from tests.registry_server import Answer

pytestmark = pytest.mark.postgres

_PATIENCE = 30.0
_PUSHERS = 4


def until(found: Callable[[], bool]) -> float:
    """Seconds until something is so."""
    begun = time.monotonic()
    while not found():
        assert time.monotonic() - begun < _PATIENCE
        time.sleep(0.02)
    return time.monotonic() - begun


def manifest(config: Digest, number: int = 0) -> dict[str, object]:
    return {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
        "config": {"mediaType": "application/vnd.example+json", "digest": str(config), "size": 2},
        "annotations": {"number": str(number)},
    }  # fmt: skip


@pytest.fixture
def pulled(station: Station) -> Iterator[Callable[[], Answer]]:
    """A pull of a tag on one connection, which one worker answers."""
    client = station.client
    config = client.push_blob("team/app", b"{}")
    client.push_manifest("team/app", manifest(config), "v1")
    with contextlib.closing(client.connect()) as connection:

        def pull() -> Answer:
            connection.request("GET", "/v2/team/app/manifests/v1")
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

        yield pull


class Pusher(threading.Thread):
    """Pushes one tag after the other until it is told to stop, whatever it is answered."""

    def __init__(self, station: Station, name: str, config: Digest) -> None:
        super().__init__()
        self.client, self.repository, self.config = station.client, f"load/{name}", config
        self.acknowledged: dict[str, str] = {}
        self.refused: set[int] = set()
        self.unnamed = 0
        self.over = threading.Event()

    def run(self) -> None:
        self.client.push_blob(self.repository, b"{}")
        number = 0
        while not self.over.is_set():
            number += 1
            with contextlib.suppress(AssertionError, OSError, http.client.HTTPException):
                self.push(f"v{number}", number)

    def push(self, tag: str, number: int) -> None:
        import json

        body = json.dumps(manifest(self.config, number)).encode()
        answer = self.client.ask(
            "PUT", f"/v2/{self.repository}/manifests/{tag}", body,
            {"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
        )  # fmt: skip
        if answer.status == 201:
            self.acknowledged[tag] = str(Digest.of(body))
        else:
            self.refused.add(answer.status)
            self.unnamed += "Retry-After" not in answer.headers


def test_a_server_that_is_killed_under_load_loses_nothing_and_the_station_comes_back(
    station: Station, postgres: PostgresServer, pulled: Callable[[], Answer]
) -> None:
    config = Digest.of(b"{}")
    pushers = [Pusher(station, str(number), config) for number in range(_PUSHERS)]
    for one in pushers:
        one.start()
    try:
        until(lambda: all(len(one.acknowledged) > 2 for one in pushers))
        assert pulled().status == 200
        postgres.kill()
        answers = list[Answer]()
        until(lambda: [answers.append(pulled()), answers[-1].status == 503][1])
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert answers[-1].code == "UNAVAILABLE"
        until(lambda: station.client.ask("GET", "/readyz").status == 503)
        until(lambda: any(one.refused for one in pushers))
        counted = [len(one.acknowledged) for one in pushers]
        postgres.start()
        until(lambda: pulled().status == 200)
        until(lambda: all(len(one.acknowledged) > before for one, before in zip(pushers, counted, strict=True)))
    finally:
        for one in pushers:
            one.over.set()
        for one in pushers:
            one.join(_PATIENCE)
    for one in pushers:
        assert one.refused <= {503}
        assert not one.unnamed
        for tag, digest in one.acknowledged.items():
            found = station.client.ask("HEAD", f"/v2/{one.repository}/manifests/{tag}")
            assert (found.status, found.headers["Docker-Content-Digest"]) == (200, digest)
    until(lambda: bool(station.json("status")["health"]["ok"]))


def test_a_server_that_hangs_is_answered_for_with_503_and_the_station_comes_back(
    station: Station, postgres: PostgresServer, pulled: Callable[[], Answer]
) -> None:
    """Whatever was just being asked: a pull, a tag that nobody remembers, a push."""
    pusher = Pusher(station, "hung", Digest.of(b"{}"))
    pusher.start()
    try:
        until(lambda: len(pusher.acknowledged) > 2)
        assert pulled().status == 200
        postgres.freeze()
        try:
            until(lambda: pulled().status == 503)
            answer = station.client.ask("GET", "/v2/team/app/manifests/never")
            assert (answer.status, answer.code) == (503, "UNAVAILABLE")
            assert int(answer.headers["Retry-After"]) > 0
            until(lambda: 503 in pusher.refused)
            assert station.client.ask("GET", "/healthz").status == 200
            until(lambda: station.client.ask("GET", "/readyz").status == 503)
        finally:
            postgres.thaw()
        until(lambda: pulled().status == 200)
        before = len(pusher.acknowledged)
        until(lambda: len(pusher.acknowledged) > before)
    finally:
        pusher.over.set()
        pusher.join(_PATIENCE)
    assert pusher.refused <= {503}
    for tag, digest in pusher.acknowledged.items():
        found = station.client.ask("HEAD", f"/v2/{pusher.repository}/manifests/{tag}")
        assert (found.status, found.headers["Docker-Content-Digest"]) == (200, digest)


def test_what_anybody_commits_is_seen_by_every_worker(
    station: Station, postgres: PostgresServer, pulled: Callable[[], Answer]
) -> None:
    """By a connection that is none of the station's, and says nothing: the listener asks."""
    assert [pulled().status for _ in range(20)] == [200] * 20
    postgres.administer("UPDATE lockgate.tags SET checksum = checksum + 1 WHERE tag = 'v1'", station.database)
    until(lambda: pulled().status == 503)
    postgres.administer("UPDATE lockgate.tags SET checksum = checksum - 1 WHERE tag = 'v1'", station.database)
    until(lambda: pulled().status == 200)


def test_a_trigger_that_an_administrator_of_the_database_laid_is_named_at_the_start(
    station: Station, postgres: PostgresServer
) -> None:
    station.stop()
    try:
        postgres.administer(
            "CREATE FUNCTION lockgate.quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            station.database,
        )
        postgres.administer(
            "CREATE TRIGGER quiet BEFORE INSERT ON lockgate.blocks FOR EACH ROW EXECUTE FUNCTION lockgate.quiet()",
            station.database,
        )
        said = station.call("serve", "--listen", "127.0.0.1:0", expect=1)
        assert "quiet" in said
        assert "Traceback" not in said
    finally:
        postgres.administer("DROP FUNCTION lockgate.quiet() CASCADE", station.database)
        station.start()
    assert Path(station.root / "metadata.json").exists()
