"""`[[content_rule]]` of `policy.toml`: the settings of a content rule, or a third party's rule that is to be loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from bundles.errors import UsageError

ALL: Final = "all"
"""In a gate's `rules`: every rule of the policy."""
PREFIX: Final = "content:"
"""Before a content rule's id where gates and exceptions name their rules."""
OFF: Final = "off"
RuleLevel = Literal["none", "low", "medium", "high"]
_ID: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?\Z")
_ASKED: Final = re.compile(r"([a-z](?:[a-z0-9-]{0,30}[a-z0-9])?)(?:=(low|medium|high|critical|off))?\Z")
_RULES_MOST: Final = 64
_SETTINGS_MOST: Final = 16
_LIST_MOST: Final = 256
_TEXT_MOST: Final = 300


class ContentRuleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule by its `id`, and its `settings` (docs/howto/content-rules.md)."""

    id: str
    settings: dict[str, str | int | bool | list[str]] = {}


def check_content_rules(rules: Sequence[ContentRuleSettings]) -> None:
    """Raises UsageError naming the rule that is wrong."""
    names = [one.id for one in rules]
    if len(names) > _RULES_MOST or len(set(names)) != len(names):
        raise UsageError("too many content rules, or one twice", thing=", ".join(names)[:120])
    for one in rules:
        if not _ID.match(one.id) or one.id == ALL:
            raise UsageError("no id of a content rule", thing=one.id[:60])
        values = [each for value in one.settings.values() for each in (value if isinstance(value, list) else [value])]
        if len(one.settings) > _SETTINGS_MOST or len(values) > _LIST_MOST:
            raise UsageError(f"content rule {one.id}: too many settings")
        if any(isinstance(value, str) and len(value) > _TEXT_MOST for value in values):
            raise UsageError(f"content rule {one.id}: a setting of more than {_TEXT_MOST} characters")


def check_asked(asked: Sequence[str]) -> None:
    """Whether a gate's `rules` can be read. Raises UsageError."""
    found = [_ASKED.match(one) for one in asked]
    for text, one in zip(asked, found, strict=True):
        if one is None or (one[1] == ALL and one[2]):
            raise UsageError(
                "rules are ids, or ID=SEVERITY, or ID=off, or all", thing=text[:60],
                remedy="the severities: low, medium, high, critical",
            )  # fmt: skip
    names = [one[1] for one in found if one is not None]
    if len(names) > _RULES_MOST or len(set(names)) != len(names):
        raise UsageError("rules has too many entries, or names one twice")
    if names and all(one is not None and one[2] == OFF for one in found):
        raise UsageError("rules turns rules off and asks for none; begin with all")


def asked_rules(asked: Sequence[str], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The ids that a gate's `rules` ask for, in order, each with the severity that it is given, "" for its own. `known`
    are the ids that `all` stands for."""
    given = {name: severity for name, _, severity in (one.partition("=") for one in asked)}
    names = [*(known if ALL in given else ()), *(name for name in given if name != ALL)]
    for name in dict.fromkeys(names):
        if given.get(name) != OFF:
            yield name, given.get(name, "")
