"""Who may do what: roles, patterns, separation of duties, addresses. Values in, a decision and its reason out."""

from __future__ import annotations

import ipaddress
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.permissions import (
    ANONYMOUS,
    DOES,
    GIVES,
    PERMISSIONS,
    PERSONS,
    ROLES,
    RULES_OUT,
    Caller,
    Grant,
    Permission,
    Role,
    Rules,
    check_pattern,
    check_role,
    clash,
    matches,
    parse_networks,
)
from bundles.errors import RefusedError, UsageError

RULES = Rules()
names = st.lists(st.from_regex(r"[a-z0-9]{1,8}\Z"), min_size=1, max_size=4).map("/".join)
grants = st.lists(
    st.builds(Grant, st.sampled_from(ROLES), st.sampled_from(["**", "team/*", "team/**", "a"])), max_size=5
)


def holder(*roles: Role, pattern: str = "**") -> Caller:
    return Caller("alice", grants=tuple(Grant(role, pattern) for role in roles))


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_an_account_without_a_role_may_do_nothing(permission: Permission) -> None:
    assert not RULES.decide(Caller("alice"), permission)
    assert not RULES.decide(Caller("alice"), permission, "team/app")


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_who_has_no_account_may_do_nothing(permission: Permission) -> None:
    assert not RULES.decide(ANONYMOUS, permission, "team/app")


def test_anonymous_pull_is_of_the_configured_repositories_alone() -> None:
    rules = Rules(anonymous=("public/**",))
    assert rules.decide(ANONYMOUS, "pull", "public/app")
    assert not rules.decide(ANONYMOUS, "push", "public/app")
    assert not rules.decide(ANONYMOUS, "pull", "secret/app")
    assert not rules.decide(ANONYMOUS, "pull")


@pytest.mark.parametrize(("role", "other"), itertools.permutations(ROLES, 2))
def test_what_a_role_rules_out_no_second_role_gives(role: Role, other: Role) -> None:
    both = holder(role, other)
    for permission in RULES_OUT[role]:
        assert not RULES.decide(both, permission, "team/app")


def test_an_administrator_cannot_approve() -> None:
    for permission in ("approve", "reject", "release", "withdraw"):
        decision = RULES.decide(holder("administrator", "security-officer"), permission)
        assert not decision
        assert "separation of duties" in decision.why


def test_an_officer_cannot_import() -> None:
    assert RULES.decide(holder("courier"), "import")
    assert not RULES.decide(holder("security-officer"), "import")
    assert not RULES.decide(holder("security-officer", "courier"), "import")


def test_quarantine_is_visible_to_officers_alone() -> None:
    assert [role for role in ROLES if RULES.decide(holder(role), "quarantine")] == ["security-officer"]


def test_roles_that_decide_and_roles_that_carry_are_not_given_to_one_account() -> None:
    for pair in (
        ("administrator", "security-officer"),
        ("security-officer", "courier"),
        ("security-officer", "collector"),
        ("auditor", "administrator"),
    ):
        assert clash(pair) is not None
        assert clash(reversed(pair)) is not None
    assert clash(("reader", "writer", "maintainer", "security-officer")) is None
    assert clash(("collector", "courier")) is None


@pytest.mark.parametrize("role", ROLES)
def test_no_role_rules_out_what_it_gives(role: Role) -> None:
    assert not GIVES[role] & RULES_OUT[role]
    assert clash((role,)) is None


@given(grants, st.sampled_from(PERMISSIONS), names)
def test_everything_allowed_is_given_by_a_role_the_account_holds(
    held: list[Grant], permission: Permission, repository: str
) -> None:
    if RULES.decide(Caller("alice", grants=tuple(held)), permission, repository):
        assert any(permission in GIVES[grant.role] for grant in held)
        assert not any(permission in RULES_OUT[grant.role] for grant in held)


@given(grants, grants, st.sampled_from(("pull", "push", "delete")), names)
def test_a_further_role_on_repositories_never_takes_one_away(
    held: list[Grant], more: list[Grant], permission: Permission, repository: str
) -> None:
    before = RULES.decide(Caller("alice", grants=tuple(held)), permission, repository)
    after = RULES.decide(Caller("alice", grants=(*held, *more)), permission, repository)
    assert after or not before


@pytest.mark.parametrize(
    ("pattern", "covered", "apart"),
    [
        ("**", ["a", "a/b/c"], []),
        ("team/*", ["team/app"], ["team", "team/app/sub", "teams/app", "xteam/app"]),
        ("team/**", ["team/app", "team/app/sub"], ["team", "teams/app"]),
        ("team/app", ["team/app"], ["team/app2", "team/app/x", "team"]),
        ("*/app", ["team/app"], ["app", "a/b/app"]),
        ("team/app-*", ["team/app-1"], ["team/app", "team/app-1/x"]),
        ("**/app", ["team/app", "a/b/app"], ["app", "team/app2"]),
        ("a.b/c", ["a.b/c"], ["axb/c"]),
    ],
)
def test_a_pattern_covers_what_it_says(pattern: str, covered: list[str], apart: list[str]) -> None:
    assert check_pattern(pattern) == pattern
    assert all(matches(pattern, name) for name in covered)
    assert not any(matches(pattern, name) for name in apart)


@pytest.mark.parametrize("text", ["", "/", "a//b", "A/b", "team/", "a/***", "a**", ".*", "a\n", "a" * 256, "a/../b"])
def test_what_is_no_pattern_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError):
        check_pattern(text)


def test_a_role_nobody_defined_is_refused() -> None:
    with pytest.raises(UsageError, match="no such role"):
        check_role("root")


def test_a_role_counts_from_its_own_addresses_alone() -> None:
    rules = Rules(role_addresses={"writer": parse_networks(["10.0.0.0/8", "fd00::/8"])})
    writer = (Grant("writer", "team/**"), Grant("reader", "**"))

    def may(address: str, permission: Permission = "push") -> bool:
        return bool(rules.decide(Caller("ci", grants=writer, address=address), permission, "team/app"))

    assert may("10.1.2.3")
    assert may("::ffff:10.1.2.3")
    assert may("fd00::1")
    assert may("")
    assert not may("192.0.2.1")
    assert not may("nonsense")
    assert may("192.0.2.1", "pull")


def test_a_refusal_says_who_what_where_and_why() -> None:
    with pytest.raises(RefusedError, match="alice may not push"):
        RULES.require(holder("reader"), "push", "team/app")


def test_a_refusal_sends_nobody_for_a_role_that_would_not_help() -> None:
    with pytest.raises(RefusedError) as lacking:
        RULES.require(holder("reader"), "build")
    with pytest.raises(RefusedError) as barred:
        RULES.require(holder("security-officer"), "build")
    assert lacking.value.remedy == (
        "it takes a collector; an administrator grants it: lockgate role grant alice collector"
    )
    assert barred.value.remedy == (
        "no further role changes that: it takes an account that is a collector and not this one"
    )


def test_a_refusal_sends_no_robot_for_a_persons_role() -> None:
    for permission in PERMISSIONS:
        with pytest.raises(RefusedError) as refused:
            RULES.require(Caller("robot-ci", "robot"), permission)
        granted = re.search(r"role grant robot-ci (\S+)", refused.value.remedy)
        if PERSONS.issuperset(role for role in ROLES if permission in GIVES[role]):
            assert refused.value.remedy.startswith("no robot may: it takes a person who is ")
            assert granted is None
        else:
            assert granted is not None
            assert granted[1] not in PERSONS
        assert not any(role in refused.value.remedy.partition(";")[0] for role in PERSONS if granted)


def test_a_refusal_names_roles_that_the_account_may_hold_beside_its_own() -> None:
    with pytest.raises(RefusedError) as pull:
        RULES.require(holder("auditor"), "pull", "team/app")
    assert pull.value.remedy.startswith("it takes a reader, a writer or a maintainer;")
    assert pull.value.remedy.endswith("lockgate role grant alice reader --on team/app")
    with pytest.raises(RefusedError) as audit:
        RULES.require(holder("courier"), "trust")
    assert audit.value.remedy.startswith("no further role changes that")


def test_a_refusal_says_in_words_what_the_account_may_not_do() -> None:
    assert DOES.keys() == set(PERMISSIONS)
    verbs = {"see", "pull", "push", "delete", "collect", "build", "hand", "export", "import", "approve", "reject",
             "release", "withdraw", "set", "pin", "read", "do"}  # fmt: skip
    assert {words.split()[0] for words in DOES.values()} <= verbs
    with pytest.raises(RefusedError) as refused:
        RULES.require(holder("courier"), "policy")
    assert refused.value.what == (
        "alice may not see or change blocks and rules (separation of duties: a courier may never see or change blocks"
        " and rules)"
    )


def test_a_refusal_for_an_address_does_not_ask_for_the_role_that_is_held() -> None:
    rules = Rules(role_addresses={"administrator": (ipaddress.ip_network("10.0.0.0/8"),)})
    with pytest.raises(RefusedError) as away:
        rules.require(Caller("alice", grants=(Grant("administrator", "**"),), address="192.0.2.1"), "account")
    assert away.value.remedy == "call from where an administrator may: role_addresses in config.toml says from where"


def test_only_whoever_is_not_logged_in_is_told_to_log_in() -> None:
    with pytest.raises(RefusedError) as nobody:
        RULES.require(Caller("anonymous", "anonymous"), "status")
    with pytest.raises(RefusedError) as without:
        RULES.require(Caller("alice"), "status")
    assert nobody.value.remedy == "log in: lockgate user login NAME"
    assert "lockgate role grant alice reader" in without.value.remedy


def test_explain_names_the_role_and_the_pattern() -> None:
    found = dict(RULES.explain(holder("writer", pattern="team/**"), "team/app"))
    assert "a writer on team/** may push" in found["push"].why
    assert not found["delete"]
    assert "no role of it may delete on team/app" in found["delete"].why


@given(grants, st.sets(st.sampled_from(["public/**", "team/*-x", "**"])), names)
def test_whoever_may_pull_a_repository_has_a_prefix_of_its_name(
    held: list[Grant], anybody: set[str], repository: str
) -> None:
    rules, caller = Rules(anonymous=tuple(anybody)), Caller("alice", grants=tuple(held))
    if rules.decide(caller, "pull", repository):
        assert any(repository.startswith(prefix) for prefix in rules.prefixes(caller, "pull"))


def test_a_caller_of_one_repository_has_a_list_look_at_no_other() -> None:
    caller = Caller("alice", grants=(Grant("reader", "team/app"), Grant("reader", "lib/x-*")))
    assert RULES.prefixes(caller, "pull") == ["lib/x-", "team/app"]
    assert RULES.prefixes(Caller("root", everything=True), "pull") == [""]
    assert RULES.prefixes(ANONYMOUS, "pull") == []
