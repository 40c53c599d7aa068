"""A station with accounts on PostgreSQL: an import, two approvals, a release, pulls, a block, a collection, kill -9."""

from __future__ import annotations

import base64
import http.client
import signal
from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer
from tests.release.closed import PASSWORD, Closed, Said

pytestmark = pytest.mark.postgres


class OnPostgres(Closed):
    """As Closed, made with a database."""

    server: PostgresServer

    def command(self, *words: object, expect: int = 0) -> Said:
        if words[0] == "init":
            words = (
                *words,
                "--metadata",
                f"postgresql://lockgate@/{self.server.empty_database()}?host={self.server.folder}",
            )
        return super().command(*words, expect=expect)

    def pull(self, path: str) -> int:
        """The status of a pull as carl, by a log-in of its own."""
        import ssl

        context = ssl.create_default_context(cafile=str(self.root / "tls/ca.pem"))
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=60)
        login = base64.b64encode(f"carl:{PASSWORD}".encode()).decode()
        connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status


@pytest.fixture(scope="module")
def people(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnPostgres]:
    OnPostgres.server = postgres
    made = OnPostgres(tmp_path_factory.mktemp("closed"))
    yield made
    made.stop()


def test_what_two_people_approved_is_released_pulled_blocked_and_there_after_kill_9(people: OnPostgres) -> None:
    name = people.brought()
    number = people.bundles
    path = f"/v2/site{number}/files/n{number}/tags/list"
    people.change("carl", "grant", role="reader", pattern="**")
    assert people.pull(path) == 404
    assert people.approve("anna", name) == "quarantined"
    assert "approv" in people.refusal("anna", name)
    assert people.approve("boris", name) == "approved"
    (shown,) = people.release("anna", name)
    repository, _, tag = shown.rpartition(":")
    manifest = f"/v2/{repository}/manifests/{tag}"
    assert people.pull(manifest) == 200

    answer = people.job("ada", "gc")
    assert answer["state"] == "done", answer
    answer = people.job("ada", "scrub")
    assert answer["state"] == "done", answer
    assert people.pull(manifest) == 200

    people.stop(signal.SIGKILL)
    people.start()
    assert people.pull(manifest) == 200
    entry = people.ask("anna", "GET", f"/v1/intake/{name}")
    assert entry["state"] == "released"
    people.ask("anna", "POST", "/v1/blocks", {"thing": f"{repository}:{tag}", "why": "recalled"})
    assert people.pull(manifest) == 403

    checks = {one["name"]: one for one in people.ask("vera", "GET", "/v1/status")["health"]["checks"]}
    assert checks["metadata"]["ok"], checks
    assert "PostgreSQL" in checks["metadata"]["detail"]
