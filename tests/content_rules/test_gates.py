"""Content rules in gates: what is asked, what is met, what is not known, and how the policy is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.content_records import KeptRule
from appliance.gates.evaluate import evaluate
from appliance.gates.facts import ContentFacts, Knowledge, Line
from appliance.gates.wanted import Wanted, check_rules, rules_of
from appliance.settings.content_rules import ContentRuleSettings, asked_rules
from appliance.settings.gates import Gate, PolicyException
from appliance.settings.image_policy import ImagePolicy, PolicyRules, decode, encode, read_rules
from bundles.errors import LockgateError, UsageError

NOW = "2026-06-15T12:00:00Z"
DIGEST = f"sha256:{'1' * 64}"
WANTED: dict[str, Wanted | None] = {
    "secret": Wanted("s1", "critical", "r"),
    "image-age": Wanted("a1", "medium", "r"),
    "gone": None,
}
CLEAN = {"secret": KeptRule("s1", 0, (), ""), "image-age": KeptRule("a1", 0, (), "")}
FOUND = CLEAN | {"secret": KeptRule("s1", 3, ({"path": "a/.env", "what": "a token"},), "")}
OTHER = CLEAN | {"secret": KeptRule("s0", 0, (), "")}
CRASHED = CLEAN | {"secret": KeptRule("s1", 0, (), "the rule failed inside (KeyError)")}
OLD = CLEAN | {"image-age": KeptRule("a1", 1, ({"path": "", "what": "old", "since": "2026-06-15T12:00:00Z"},), "")}
YOUNG = CLEAN | {"image-age": KeptRule("a1", 1, ({"path": "", "what": "old", "since": "2026-06-15T12:00:01Z"},), "")}


def lines(looks: list[Any], exceptions: tuple[PolicyException, ...] = (), **gate: Any) -> dict[str, Line]:
    content = ContentFacts(DIGEST, "image", True, "scanned", looks=looks)
    found = evaluate(1, Gate(repositories=["**"], **gate), "team/app", content, Knowledge(), exceptions, NOW, WANTED)
    return {line.rule: line for line in found}


@pytest.mark.parametrize(
    ("looks", "gate", "expected"),
    [
        ([CLEAN, CLEAN], {"rules": ["secret"]}, {"content:secret": True}),
        ([CLEAN, FOUND], {"rules": ["secret"]}, {"content:secret": False}),
        ([CLEAN, FOUND], {"rules": ["secret"], "max_rule_severity": "high"}, {"content:secret": False}),
        ([CLEAN, FOUND], {"rules": ["secret=low"], "max_rule_severity": "low"}, {"content:secret": True}),
        ([CLEAN, FOUND], {"rules": ["secret=medium"], "max_rule_severity": "low"}, {"content:secret": False}),
        ([CLEAN, {}], {"rules": ["secret"], "max_rule_severity": "high"}, {"content:secret": False}),
        ([CLEAN, OTHER], {"rules": ["secret"], "max_rule_severity": "high"}, {"content:secret": False}),
        ([CLEAN, CRASHED], {"rules": ["secret=low"], "max_rule_severity": "high"}, {"content:secret": False}),
        ([OLD], {"rules": ["image-age"]}, {"content:image-age": False}),
        ([YOUNG], {"rules": ["image-age"]}, {"content:image-age": True}),
        ([CLEAN], {"rules": ["nobody"]}, {"content:nobody": False}),
        ([CLEAN], {"rules": ["all"]}, {"content:secret": True, "content:image-age": True, "content:gone": False}),
        ([FOUND], {"rules": ["all", "secret=off", "gone=off"]}, {"content:image-age": True}),
    ],
)  # fmt: skip
def test_a_rule_of_a_gate(looks: list[Any], gate: dict[str, Any], expected: dict[str, bool]) -> None:
    found = lines(looks, **gate)
    assert {name: line.met for name, line in found.items()} == expected
    assert all(line.asks for line in found.values() if not line.met)


def test_what_was_found_is_named_with_its_place_and_number() -> None:
    line = lines([FOUND], rules=["secret"])["content:secret"]
    assert "3 findings" in line.why
    assert "a/.env" in line.why


def test_an_exception_opens_one_rule() -> None:
    one = PolicyException(
        id="one", owner="Anna", reason="known", until="2026-07-01T00:00:00Z", repositories=["**"], rule="content:secret"
    )
    found = lines([FOUND], (one,), rules=["secret", "gone"])
    assert (found["content:secret"].met, tuple(found["content:secret"].exceptions)) == (True, ("one",))
    assert not found["content:gone"].met


@pytest.mark.parametrize(
    "text",
    [
        '[[gate]]\nrepositories = ["**"]\nrules = ["secret=worst"]\n',
        '[[gate]]\nrepositories = ["**"]\nrules = ["all=low"]\n',
        '[[gate]]\nrepositories = ["**"]\nrules = ["secret", "secret=off"]\n',
        '[[gate]]\nrepositories = ["**"]\nrules = ["secret=off"]\n',
        '[[gate]]\nrepositories = ["**"]\nrules = ["Secret"]\n',
        '[[gate]]\nrepositories = ["**"]\nscan_days = 1\nmax_rule_severity = "low"\n',
        '[[gate]]\nrepositories = ["**"]\nrules = ["all"]\n[[content_rule]]\nid = "all"\n',
        '[[gate]]\nrepositories = ["**"]\nrules = ["all"]\n[[content_rule]]\nid = "a"\n[[content_rule]]\nid = "a"\n',
        '[[gate]]\nrepositories = ["**"]\nrules = ["all"]\n[[content_rule]]\nid = "a"\nsettings = {x = 1.5}\n',
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_meant_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(LockgateError) as caught:
        read_rules(file)
    assert caught.value.remedy


def test_a_policy_names_rules_that_are_there() -> None:
    gate = Gate(repositories=["**"], rules=["secret", "all", "setuid=off"])
    check_rules([], [gate])
    with pytest.raises(UsageError, match="no content rule of that id"):
        check_rules([], [Gate(repositories=["**"], rules=["secrets"])])
    with pytest.raises(UsageError, match="no content rule of that id is installed"):
        check_rules([ContentRuleSettings(id="of-somebody")], [])
    with pytest.raises(UsageError, match="settings of the content rule setuid"):
        check_rules([ContentRuleSettings(id="setuid", settings={"mib": 1})], [])


def test_a_rule_that_is_missing_is_asked_and_keeps_no_other_from_looking() -> None:
    found = rules_of([ContentRuleSettings(id="of-somebody"), ContentRuleSettings(id="setuid", settings={"mib": 1})])
    assert set(found.missing) == {"of-somebody", "setuid"}
    assert (found.wanted["of-somebody"], found.wanted["setuid"]) == (None, None)
    assert "secret" in found.rules.rules
    assert "setuid" not in found.rules.rules


def test_a_policy_without_content_rules_is_written_as_before() -> None:
    raw = encode(ImagePolicy.of(PolicyRules(gate=[Gate(repositories=["**"], scan_days=9)]), "bravo", 1))
    assert b"rule" not in raw
    asked = PolicyRules(
        gate=[Gate(repositories=["**"], rules=["all"], max_rule_severity="low")],
        content_rule=[ContentRuleSettings(id="large-layer", settings={"mib": 5})],
    )
    assert decode(encode(ImagePolicy.of(asked, "bravo", 1))).asked == asked


def test_the_order_of_rules_is_the_policys() -> None:
    assert list(asked_rules(["setuid=low", "all", "b=off"], ["a", "b", "setuid"])) == [("a", ""), ("setuid", "low")]
