"""Workloads at a registry: another issuer's token is given for one of the station, as the robot that it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.limits import access as limits
from appliance.store.reads.accounts import check_name
from appliance.store.writes.access import DisableAccount, EnableAccount
from bundles.errors import UsageError
from tests.access.issuer import SUBJECT, claims, ec_jwk, rsa_jwk, settings, token, write_keys
from tests.access.site import Site, ask_token, basic, bearer, post_token
from tests.registry_server import Server

PULL = "repository:team/app:pull"


@pytest.fixture
def keys(site: Site) -> Path:
    return write_keys(site.paths.root / "identity/cluster.json", rsa_jwk())


@pytest.fixture
def server(site: Site, keys: Path) -> Server:
    site.robot("robot-prod", "reader team/*")
    return site.worker(issuers={"cluster": settings(keys)})


def reason(server: Server, name: str, secret: str) -> str:
    answer = ask_token(server, basic(name, secret), PULL)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
    return str(answer.json["errors"][0]["detail"]["reason"])


@pytest.mark.parametrize("name", ["workload", "robot-prod"])
def test_a_workload_gets_a_token_that_pulls_what_its_robot_may(site: Site, server: Server, name: str) -> None:
    answer = ask_token(server, basic(name, token()), PULL, "repository:other/app:pull")
    assert (answer.status, answer.json["scope"]) == (200, PULL)
    assert "refresh_token" not in answer.json
    mine = bearer(answer.json["token"])
    assert server.ask("GET", "/v2/team/app/tags/list", headers=mine).status == 404
    assert server.ask("GET", "/v2/other/app/tags/list", headers=mine).status == 403
    posted = post_token(server, grant_type="password", username=name, password=token(), scope=PULL)
    assert (posted.status, posted.json["scope"]) == (200, PULL)


def test_a_token_of_the_station_ends_with_the_one_that_it_was_given_for(server: Server) -> None:
    end = claims()["iat"] + 60
    assert ask_token(server, basic("workload", token(exp=end)), PULL).json["expires_in"] <= 60


def test_a_workloads_token_opens_nothing_by_itself(server: Server) -> None:
    answer = server.ask("GET", "/v2/team/app/tags/list", headers=basic("workload", token()))
    assert answer.status == 401
    assert 'scope="repository:team/app:pull"' in answer.headers["WWW-Authenticate"]
    assert server.ask("GET", "/v2/", headers=bearer(token())).status == 401


def test_a_robot_that_is_disabled_or_not_there_is_refused_at_once(site: Site, server: Server, keys: Path) -> None:
    given = bearer(ask_token(server, basic("workload", token()), PULL).json["token"])
    site.submit(DisableAccount(account="robot-prod", at=clock.now()))
    assert reason(server, "workload", token()) == "token-robot"
    assert server.ask("GET", "/v2/team/app/tags/list", headers=given).status == 401
    site.submit(EnableAccount(account="robot-prod"))
    assert ask_token(server, basic("workload", token()), PULL).status == 200
    other = site.worker(issuers={"cluster": settings(keys, robots={SUBJECT: "robot-nowhere"})})
    assert reason(other, "workload", token()) == "token-robot"


def test_another_file_of_keys_counts_on_a_running_worker(
    server: Server, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WORKLOAD_KEYS_LOOKED_AT", 0.0)
    assert ask_token(server, basic("workload", token()), PULL).status == 200
    write_keys(keys, ec_jwk())
    assert reason(server, "workload", token()) == "token-key"
    keys.unlink()
    assert reason(server, "workload", token()) == "token-keys"
    write_keys(keys, rsa_jwk())
    assert ask_token(server, basic("workload", token()), PULL).status == 200


def test_failures_are_counted_and_good_tokens_of_a_whole_cluster_are_not(server: Server) -> None:
    for _ in range(int(limits.FAILURE_RATE[1]) + 20):
        assert ask_token(server, basic("workload", token()), PULL).status == 200
    answers = [
        ask_token(server, basic("workload", "eyJ.eyJ.e"), PULL).status for _ in range(int(limits.FAILURE_RATE[1]) + 20)
    ]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert ask_token(server, basic("workload", token()), PULL).status == 429


def test_a_robots_secret_and_a_person_log_in_beside_it(site: Site, server: Server) -> None:
    _, secret, _ = site.robot("robot-other", "reader")
    assert ask_token(server, basic("robot-other", secret), PULL).status == 200
    site.person("anna", "reader")
    assert ask_token(server, basic("anna"), PULL).status == 200
    assert ask_token(server, basic("anna", token()), PULL).status == 401


@pytest.mark.parametrize("name", ["workload", "directory"])
def test_no_person_has_a_name_that_means_something_else(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


def test_a_station_without_issuers_takes_no_such_token(site: Site) -> None:
    site.robot("robot-prod", "reader")
    assert ask_token(site.worker(), basic("workload", token()), PULL).status == 401


def test_who_it_was_is_in_the_audit_log(site: Site, server: Server) -> None:
    for _ in range(3):
        ask_token(server, basic("workload", token()), PULL)
    reason(server, "workload", token(sub="system:serviceaccount:prod:other"))
    reason(server, "workload", token(sub="system:serviceaccount:prod:other", aud="x"))
    events = [one for one in site.audit.events if one.act in (Act.TOKEN_WORKLOAD, Act.REGISTRY_REFUSE)]
    assert [(one.act, one.actor) for one in events] == [
        (Act.TOKEN_WORKLOAD, "robot-prod"), (Act.REGISTRY_REFUSE, "unproved workload"),
        (Act.REGISTRY_REFUSE, "unproved workload"),
    ]  # fmt: skip
    assert events[0].detail | {"issuer": "cluster", "subject": SUBJECT} == events[0].detail
    assert events[1].detail["why"] == "token-subject"
    assert events[1].detail["subject"] == "system:serviceaccount:prod:other"
    assert "subject" not in events[2].detail, "what nobody signed is not told"
