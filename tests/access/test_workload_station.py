"""A whole station, over TLS, whose cluster logs in with tokens of its own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.access.issuer import AUDIENCE, SUBJECT, URL, rsa_jwk, token, write_keys
from tests.access.live import PASSWORD, Live
from tests.access.site import basic, bearer


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    station = Live(folder / "bravo", folder)
    station.make()
    write_keys(station.root / "identity/cluster.json", rsa_jwk())
    with (station.root / "config.toml").open("a") as config:
        config.write(
            f'[workload_issuers.cluster]\nissuer = "{URL}"\njwks = "identity/cluster.json"\naudience = "{AUDIENCE}"\n'
            f'robots = {{ "{SUBJECT}" = "robot-prod" }}\n'
        )
    station.start()
    station.call("user", "login", "ada", password=PASSWORD)
    station.call("token", "create", "robot-prod", "--no-secret")
    station.call("role", "grant", "robot-prod", "reader", "--on", "team/**")
    yield station
    station.stop()


def ask(live: Live, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    connection = http.client.HTTPSConnection("localhost", live.port, timeout=10, context=live.trusting())
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


def test_a_cluster_logs_in_and_the_station_says_by_what(live: Live) -> None:
    status, given = ask(live, "/token?scope=repository:team/app:pull", basic("workload", token()))
    assert (status, given["scope"]) == (200, "repository:team/app:pull")
    assert ask(live, "/v2/team/app/tags/list", bearer(given["token"]))[0] == 404
    assert ask(live, "/v2/", basic("workload", token(aud="other")))[1]["errors"][0]["detail"] == {
        "reason": "token-audience"
    }
    (robot,) = json.loads(live.call("user", "list", "--filter", "robot-", "--json"))["items"]
    assert (robot["name"], robot["origin"], robot["seen"] is None) == ("robot-prod", "workload cluster", False)
    reviewed = {one["name"]: one for one in json.loads(live.call("user", "review", "--json"))["items"]}
    assert (reviewed["robot-prod"]["origin"], reviewed["robot-prod"]["concerns"]) == ("workload cluster", [])
    assert reviewed["ada"]["origin"] == "local"
    assert "--days" in live.call("token", "create", "robot-x", "--no-secret", "--days", "3", expect=2)


def test_a_disabled_robot_stops_at_the_next_request(live: Live) -> None:
    given = ask(live, "/token?scope=repository:team/app:pull", basic("robot-prod", token()))[1]
    live.call("user", "disable", "robot-prod")
    assert ask(live, "/v2/team/app/tags/list", bearer(given["token"]))[0] == 401
    assert ask(live, "/token", basic("robot-prod", token()))[1]["errors"][0]["detail"] == {"reason": "token-robot"}
    live.call("user", "enable", "robot-prod")


def test_a_missing_file_of_keys_stops_nobody_else(live: Live) -> None:
    path = Path(live.root / "identity/cluster.json")
    path.rename(path.with_suffix(".away"))
    answers = {ask(live, "/token", basic("workload", token()))[1].get("errors", [{}])[0].get("code") for _ in range(3)}
    assert answers <= {None, "UNAUTHORIZED"}
    assert ask(live, "/token?service=lockgate/bravo", basic("ada"))[0] == 200
    path.with_suffix(".away").rename(path)
