"""What a review of access names, from values alone; since when roles stand, by the log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from appliance.access.origins import origin_of
from appliance.access.review import concerns, exposed
from appliance.audit.acts import Act
from appliance.permissions import Grant
from appliance.release_check.account_record import AccountRecord
from appliance.settings.access import AccessSettings, RegistrySettings
from appliance.settings.caches import CacheSettings
from appliance.settings.station import Config
from appliance.settings.workload_issuers import WorkloadIssuerSettings
from appliance.store.reads.accounts import Account, Secret

AT = "2026-11-29T12:00:00Z"
ANNA = Account("anna", "person", "Anna Berg", "x", None, None, 1, "2026-01-01T00:00:00Z", (Grant("reader", "team/*"),))
ROBOT = replace(ANNA, name="robot-ci", kind="robot")


def secret(expires: str, created: str = "2026-11-01T00:00:00Z") -> Secret:
    return Secret("id", "robot-ci", "hash", created, expires, None)


def said(account: Account = ANNA, seen: str | None = "2026-11-28T00:00:00Z", **changes: Any) -> list[str]:
    given: dict[str, Any] = {"secrets": (), "keys": (), "good_keys": (), "has_foreign": False, "at": AT} | changes
    return list(concerns(account, seen, given.pop("secrets"), given.pop("keys"), given.pop("good_keys"), **given))


def test_an_account_in_order_has_no_concern() -> None:
    assert said() == []
    assert said(ROBOT, secrets=[secret("2027-01-30T00:00:00Z"), secret("2026-11-02T00:00:00Z")]) == []
    assert said(keys=["a"], good_keys={"a", "b"}) == []


@pytest.mark.parametrize(
    ("seen", "code"),
    [("2026-08-31T12:00:00Z", []), ("2026-08-31T11:59:59Z", ["unused"]), (None, ["never-used"])],
)
def test_an_account_is_unused_after_ninety_days(seen: str | None, code: list[str]) -> None:
    assert said(seen=seen) == code
    assert said(replace(ANNA, created="2026-11-20T00:00:00Z"), None) == []


@pytest.mark.parametrize(
    ("account", "changes", "code"),
    [
        (replace(ANNA, grants=()), {}, "no-roles"),
        (replace(ANNA, disabled="2026-05-01T00:00:00Z"), {"has_foreign": True, "seen": None}, "disabled-with-roles"),
        (replace(ANNA, grants=(Grant("writer", "**"),)), {}, "writes-everywhere"),
        (replace(ANNA, grants=(Grant("maintainer", "**"),)), {}, "writes-everywhere"),
        (ANNA, {"has_foreign": True}, "foreign-credential"),
        (ANNA, {"keys": ["a", "b"], "good_keys": {"b"}}, "key-not-good"),
        (ROBOT, {}, "no-good-secret"),
        (ROBOT, {"secrets": [secret("2026-11-29T12:00:00Z")]}, "no-good-secret"),
        (ROBOT, {"secrets": [secret("2027-05-04T00:00:00Z")]}, "long-lived-secret"),
    ],
)
def test_each_concern_is_named(account: Account, changes: dict[str, Any], code: str) -> None:
    assert said(account, **changes) == [code]


def test_a_workload_needs_no_secret_and_a_long_one_is_told_all_the_same() -> None:
    assert said(ROBOT, is_workload=True) == []
    assert said(ROBOT, is_workload=True, secrets=[secret("2027-05-04T00:00:00Z")]) == ["long-lived-secret"]


@pytest.mark.parametrize(
    ("name", "has_secret", "origin"),
    [
        ("robot-prod", False, "workload ci, workload cluster"),
        ("robot-prod", True, "local, workload ci, workload cluster"),
        ("robot-ci", False, "local"),
        ("anna", True, "local"),
    ],
)
def test_it_is_told_by_what_an_account_proves_itself(name: str, has_secret: bool, origin: str) -> None:
    issuer = WorkloadIssuerSettings(robots={"a:*": "robot-prod", "b": "robot-prod"})
    config = Config(site="bravo", side="inside", workload_issuers={"ci": issuer, "cluster": issuer})
    assert origin_of(config, name, has_secret=has_secret) == origin
    assert [(one.code, one.thing) for one in exposed(config)] == [
        ("workload-pattern", "ci: a:* is robot-prod"), ("workload-pattern", "cluster: a:* is robot-prod"),
    ]  # fmt: skip


def test_a_cache_of_an_inside_station_is_shown_to_the_reviewer() -> None:
    caches = {"hub": CacheSettings(upstream="hub.example:5000")}
    assert [
        (side, one.code, one.thing)
        for side in ("inside", "outside")
        for one in exposed(Config(site="bravo", side=side, caches=caches))  # type: ignore[arg-type]
    ] == [("inside", "unapproved-cache", "cache/hub from hub.example:5000")]


def test_a_disabled_account_without_roles_is_no_concern() -> None:
    assert said(replace(ANNA, disabled=AT, grants=()), None) == []


def test_a_reader_everywhere_and_a_station_role_write_nowhere() -> None:
    for role in ("reader", "security-officer", "auditor", "administrator", "courier"):
        assert said(replace(ANNA, grants=(Grant(role, "**"),))) == []  # type: ignore[arg-type]


def test_what_the_settings_open_is_named() -> None:
    shut = Config(site="bravo", side="inside")
    assert list(exposed(shut)) == []
    access = AccessSettings(anonymous_pull=("public/**",), socket_group="ops")
    pushed = RegistrySettings(push=("dev/**",))
    wide = msgspec.structs.replace(
        shut, listen="0.0.0.0:5000", metrics_listen="[::]:9000", access=access, registry=pushed,
        open=True,
    )  # fmt: skip
    assert [(one.code, one.thing) for one in exposed(wide)] == [
        ("open-station", "0.0.0.0:5000"), ("listens-to-everybody", "0.0.0.0:5000"),
        ("metrics-for-everybody", "[::]:9000"), ("anonymous-pull", "public/**"), ("clients-push", "dev/**"),
        ("socket-group", "ops"),
    ]  # fmt: skip
    narrow = AccessSettings(addresses=("10.0.0.0/8",), metrics_addresses=("10.0.0.0/8",))
    assert list(exposed(msgspec.structs.replace(wide, open=False, access=narrow, registry=RegistrySettings()))) == []


def record(*events: tuple[Act, str, dict[str, Any]]) -> AccountRecord:
    """Events, the oldest first, a microsecond apart from 1 on, behind a base with Anna as a reader of team/*."""
    stands = {"base": "b", "grants": [["reader", "team/*"]], "keys": [], "secrets": {}, "waits": []}
    stands |= {"kind": "person", "disabled": False, "mark": "", "uid": ""}
    base = [(Act.ACCOUNTS_STAND, "anna", stands), (Act.ACCOUNTS_BASE, "bravo", {"base": "b", "accounts": 1})]
    found = AccountRecord()
    for micros, (act, thing, detail) in reversed(list(enumerate([*base, *events], -1))):
        found.note(act, {"thing": thing, "detail": detail, "micros": micros})
    return found


def test_a_role_stands_since_it_was_given_last() -> None:
    role = {"role": "writer", "pattern": "x/*"}
    assert record().granted() == {}
    assert record((Act.ACCOUNT_GRANT, "anna", role)).granted() == {("anna", "writer", "x/*"): 1}
    again = record(*[(Act.ACCOUNT_GRANT, "anna", role)] * 2)
    assert again.granted() == {("anna", "writer", "x/*"): 1}
    anew = record(
        (Act.ACCOUNT_GRANT, "anna", role), (Act.ACCOUNT_WITHDRAW, "anna", role | {"every": False}),
        (Act.ACCOUNT_GRANT, "anna", role),
    )  # fmt: skip
    assert anew.granted() == {("anna", "writer", "x/*"): 3}


def test_a_role_that_waited_stands_since_it_was_confirmed() -> None:
    asked = {"id": "change-1", "change": "grant", "role": "security-officer", "pattern": "**"}
    waited = record((Act.ACCOUNT_ASK, "anna", asked), (Act.ACCOUNT_CONFIRM, "anna", {"id": "change-1"}))
    assert waited.granted() == {("anna", "security-officer", "**"): 2}
