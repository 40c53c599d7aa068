"""The content rules of a policy, as gates ask for them and as a look goes by them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from appliance.advisories.licenses import NAME, policy_form
from appliance.content_rules.registry import RuleSet, rule_set
from appliance.settings.content_rules import ALL, ContentRuleSettings
from appliance.settings.gates import Gate
from bundles.errors import LockgateError, UsageError


class Wanted(NamedTuple):
    """A rule as the policy has it: what was found by another identity does not count."""

    identity: str
    severity: str
    remedy: str


class PolicyRuleSet(NamedTuple):
    """The rules of a policy, and those of it that this station cannot run, with why."""

    rules: RuleSet
    missing: Mapping[str, str]

    @property
    def wanted(self) -> dict[str, Wanted | None]:
        """As gates ask for them; None for one that is missing."""
        return dict.fromkeys(self.missing) | {
            name: Wanted(one.identity, one.rule.severity, one.rule.remedy) for name, one in self.rules.rules.items()
        }


def rules_of(asked: Sequence[ContentRuleSettings] | None) -> PolicyRuleSet:
    """The rules of a policy's list; None where there is no policy. A rule that is not installed, or whose settings are
    none, is missing: it has looked at nothing, and the others look all the same."""
    listed = [[one.id, one.settings] for one in asked or ()]
    return _rules_of(json.dumps(listed, sort_keys=True))


def check_rules(asked: Sequence[ContentRuleSettings], gates: Sequence[Gate]) -> None:
    """Whether each can be run on this station, each that a gate asks for is among them, and each license is one of
    SPDX's list. Raises UsageError naming the first that is not."""
    known = rule_set((one.id, one.settings) for one in asked).rules
    for number, gate in enumerate(gates, 1):
        _check_licenses(number, [*gate.allow_licenses, *gate.deny_licenses])
        named = [one.partition("=")[0] for one in gate.rules]
        if unknown := [one for one in named if one not in (ALL, *known)]:
            raise UsageError(
                f"gate {number}: no content rule of that id", thing=unknown[0],
                remedy=f"one of {', '.join(known)}; a rule of your own is named under [[content_rule]]",
            )  # fmt: skip


def _check_licenses(number: int, named: Sequence[str]) -> None:
    for one in named:
        form = policy_form(one.removeprefix(NAME))
        if form != one:
            raise UsageError(
                f"gate {number}: no license is called so", thing=one,
                remedy=f"write {form}" if form else "name each license of the expression",
            )  # fmt: skip


@lru_cache(maxsize=32)
def _rules_of(listed: str) -> PolicyRuleSet:
    good, missing = list[tuple[str, dict[str, Any]]](), dict[str, str]()
    for name, settings in json.loads(listed):
        try:
            rule_set([(name, settings)])
        except LockgateError as error:
            missing[name] = error.what
        else:
            good.append((name, settings))
    rules = rule_set(good).rules
    return PolicyRuleSet(RuleSet({name: one for name, one in rules.items() if name not in missing}), missing)
