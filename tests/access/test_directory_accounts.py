"""People of the directory at a registry: their account follows their groups, and local accounts are as they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.limits import access as limits
from appliance.permissions import Grant
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.registry import Metadata
from appliance.store.writes.access import BindUid, DisableAccount, GrantRole, SetPassword
from bundles.errors import RefusedError, UsageError
from tests.access import site as local
from tests.access.directory import BUILDERS, PASSWORD, Slapd, a_slapd
from tests.access.site import HASH, Site, ask_token, basic, bearer, post_token
from tests.registry_server import Server

PULL = "repository:team/app:pull"


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with a_slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


@pytest.fixture
def server(site: Site, slapd: Slapd) -> Server:
    return site.worker(directory=slapd.settings(site.paths.root))


def accounts(site: Site) -> Accounts:
    return Accounts(Metadata(site.paths.database).connection)


def reason(server: Server, name: str, password: str = PASSWORD) -> tuple[int, str]:
    answer = ask_token(server, basic(name, password), PULL)
    return answer.status, answer.json["errors"][0].get("detail", {}).get("reason", "")


def test_a_person_of_the_directory_gets_an_account_with_what_their_groups_give(site: Site, server: Server) -> None:
    answer = post_token(
        server, grant_type="password", username="anna", password=PASSWORD, scope=PULL, access_type="offline"
    )
    assert (answer.status, answer.json["scope"]) == (200, PULL)
    assert "refresh_token" not in answer.json, "who left the directory renews nothing"
    assert server.ask("GET", "/v2/team/app/tags/list", headers=bearer(answer.json["token"])).status == 404
    found = accounts(site).get("anna")
    assert (found.kind, found.full_name, found.password) == ("person", "Anna Berg", None)
    assert set(found.grants) == {Grant("collector"), Grant("reader", "team/**")}
    assert accounts(site).of_directory("anna")
    said = [(one.act, one.actor, one.thing) for one in site.audit.events if one.act != Act.REGISTRY_REFUSE]
    assert said == [
        (Act.ACCOUNT_CREATE, "directory", "anna"), (Act.ACCOUNT_GRANT, "directory", "anna"),
        (Act.ACCOUNT_GRANT, "directory", "anna"),
    ]  # fmt: skip
    assert site.audit.events[0].detail["directory"] is True
    ask_token(server, basic("anna", PASSWORD), PULL)
    assert len(site.audit.events) == len(said), "a second log-in changes nothing"


def test_roles_follow_the_groups_at_the_next_log_in(site: Site, server: Server, slapd: Slapd) -> None:
    assert ask_token(server, basic("anna", PASSWORD), PULL).status == 200
    fewer = site.worker(directory=slapd.settings(site.paths.root, roles={BUILDERS: ("writer other/*",)}))
    assert ask_token(fewer, basic("anna", PASSWORD), PULL).json["scope"] == ""
    assert set(accounts(site).get("anna").grants) == {Grant("writer", "other/*")}
    none = site.worker(directory=slapd.settings(site.paths.root, roles={"cn=x": ("reader",)}))
    assert ask_token(none, basic("anna", PASSWORD), PULL).json["scope"] == ""
    assert accounts(site).get("anna").grants == ()


def test_who_is_in_no_group_with_a_role_has_no_account(site: Site, server: Server) -> None:
    assert reason(server, "dora") == (403, "directory-no-role")
    assert accounts(site).find("dora") is None
    assert [one.detail["why"] for one in site.audit.events] == ["directory-no-role"]


def test_groups_whose_roles_nobody_holds_together_give_none(site: Site, slapd: Slapd) -> None:
    server = site.worker(directory=slapd.settings(site.paths.root, roles={BUILDERS: ("collector", "auditor")}))
    assert reason(server, "anna") == (403, "directory-roles")
    assert accounts(site).find("anna") is None


@pytest.mark.parametrize("password", ["", "wrong", local.PASSWORD])
def test_a_wrong_or_empty_password_is_nobodys(site: Site, server: Server, password: str) -> None:
    assert ask_token(server, basic("anna", password), PULL).status == 401
    assert accounts(site).find("anna") is None


def test_failures_lock_a_name_as_they_do_for_local_accounts(site: Site, server: Server) -> None:
    statuses = [
        ask_token(server, basic("anna", f"wrong {number}"), PULL).status for number in range(limits.LOGIN_FREE + 2)
    ]
    assert statuses == [401] * (limits.LOGIN_FREE + 1) + [429]
    assert ask_token(server, basic("anna", PASSWORD), PULL).status == 429


def test_a_local_account_wins_and_the_directory_is_not_asked_about_it(site: Site, server: Server) -> None:
    site.person("ada", "administrator")
    assert ask_token(server, basic("ada", PASSWORD), PULL).status == 401
    assert ask_token(server, basic("ada", local.PASSWORD), PULL).status == 200
    assert not accounts(site).of_directory("ada")
    assert ask_token(server, basic("robot-x", PASSWORD), PULL).status == 401
    assert accounts(site).find("robot-x") is None


def test_an_account_that_is_disabled_here_is_disabled(site: Site, server: Server) -> None:
    given = bearer(ask_token(server, basic("anna", PASSWORD), PULL).json["token"])
    site.submit(DisableAccount(account="anna", at=clock.now()))
    assert server.ask("GET", "/v2/team/app/tags/list", headers=given).status == 401
    assert ask_token(server, basic("anna", PASSWORD), PULL).status == 401
    assert accounts(site).get("anna").disabled is not None


def test_no_account_of_the_directory_decides_or_has_a_credential_here(site: Site, server: Server) -> None:
    ask_token(server, basic("anna", PASSWORD), PULL)
    for role in ("security-officer", "administrator"):
        with pytest.raises(RefusedError, match="directory"):
            site.submit(GrantRole(account="anna", role=role))
    with pytest.raises(UsageError):
        site.submit(SetPassword(account="anna", password=HASH, at=clock.now()))
    with pytest.raises(UsageError):
        site.submit(BindUid(account="anna", uid=4711, at=clock.now()))


def test_without_the_directory_nobody_of_it_logs_in_and_local_accounts_do(site: Site, slapd: Slapd) -> None:
    site.person("ada", "reader")
    settings = slapd.settings(site.paths.root)
    assert ask_token(site.worker(directory=settings), basic("anna", PASSWORD), PULL).status == 200
    server = site.worker(directory=settings)
    slapd.stop()
    try:
        assert reason(server, "anna") == (503, "directory-down")
        assert reason(server, "nobody-here") == (503, "directory-down")
        assert ask_token(server, basic("ada", local.PASSWORD), PULL).status == 200
    finally:
        slapd.start()
    assert ask_token(site.worker(), basic("anna", PASSWORD), PULL).status == 401, "without [directory]"


def test_a_name_that_looks_like_another_accounts_gets_none_and_the_log_says_so(site: Site, server: Server) -> None:
    site.person("b0b", "reader")
    assert reason(server, "bob") == (403, "directory-name")
    assert accounts(site).find("bob") is None
    events = [(one.act, one.outcome) for one in site.audit.events if one.thing == "bob"]
    done = [act for act, outcome in events if outcome == "done"]
    undone = [act for act, outcome in events if outcome != "done"]
    assert done == [Act.ACCOUNT_CREATE, Act.ACCOUNT_GRANT, Act.ACCOUNT_GRANT]
    assert undone == done[::-1]
