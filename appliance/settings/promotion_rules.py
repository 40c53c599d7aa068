"""`[[promotion]]` of `policy.toml`: what is promoted by the station itself, and rolled back by it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from appliance.patterns import covers
from appliance.permissions import check_pattern, matches
from appliance.settings.gates import Stage
from bundles.errors import LockgateError, UsageError
from bundles.oci.attached_tags import is_attached
from bundles.oci.reference import check_tag, check_tag_pattern

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\Z")
_RULES_MOST: Final = 64
_LIST_MOST: Final = 64
_HOURS_MOST: Final = 8760


class PromotionRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What comes into these repositories by promotion, at these tags, is promoted to the stage `to` once it has stood
    there for `after_hours`: at `tag`, or at its own where that is "". `roll_back`: what stands there and would not pass
    any more is taken back to what stood there before."""

    name: str
    to: str
    repositories: list[str]
    tags: list[str] = msgspec.field(default_factory=lambda: ["*"])
    tag: str = ""
    after_hours: int = 0
    roll_back: bool = False

    def names(self, repository: str, tag: str) -> bool:
        """Whether it is about what stands at a tag of a repository."""
        return any(matches(one, repository) for one in self.repositories) and any(covers(one, tag) for one in self.tags)


def check_promotion_rules(rules: Sequence[PromotionRule], stages: Sequence[Stage]) -> None:
    """Raises UsageError naming the rule that is wrong."""
    if len(rules) > _RULES_MOST:
        raise UsageError(f"more than {_RULES_MOST} rules of promotion")
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise UsageError(
            "two rules of promotion have one name", thing=next(one for one in names if names.count(one) > 1)
        )
    for rule in rules:
        try:
            _check_rule(rule, {stage.name: stage for stage in stages})
        except LockgateError as error:
            raise UsageError(f"promotion {rule.name[:60]}: {error.what}", thing=error.thing) from None


def _check_rule(rule: PromotionRule, stages: dict[str, Stage]) -> None:
    if not _NAME.match(rule.name):
        raise UsageError("a rule's name is of small letters, digits and hyphens, 32 at most")
    stage = stages.get(rule.to)
    if stage is None:
        raise UsageError("to names no stage", thing=rule.to[:60])
    for what, patterns in (("repositories", rule.repositories), ("tags", rule.tags)):
        if not patterns or len(patterns) > _LIST_MOST or len(set(patterns)) != len(patterns):
            raise UsageError(f"{what} is empty, has too many entries, or names one twice")
    for pattern in rule.repositories:
        check_pattern(pattern)
    for pattern in rule.tags:
        check_tag_pattern(pattern)
    if rule.tag and is_attached(check_tag(rule.tag)):
        raise UsageError("evidence is attached by such a tag", thing=rule.tag)
    if not 0 <= rule.after_hours <= _HOURS_MOST:
        raise UsageError(f"after_hours is from 0 to {_HOURS_MOST}", thing=str(rule.after_hours))
    # Only a promotion says since when something stands: what was pushed, anybody who may push can have put there.
    if not any(stages[name].entry == "promotion" for name in stage.sources):
        raise UsageError(f"{rule.to} takes nothing from a stage into which content is promoted; name one in its from")
    moving = not stage.immutable or any(covers(pattern, rule.tag) for pattern in stage.moving)
    if rule.tag and not moving:
        raise UsageError(f"the tag stays in {rule.to} once it stands; name it in the stage's moving", thing=rule.tag)
    if rule.roll_back and not rule.tag:
        raise UsageError("roll_back takes a tag that moves; name it with tag")
