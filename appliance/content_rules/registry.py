"""Which rules there are, and those that a policy asks for: the built-in ones by default, others where they are named.

Rules of third parties are classes behind the entry point group `lockgate.content_rules`, by the rule's id. None is
loaded that nobody named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, Final

import msgspec

from appliance.content_rules.file_rules import (
    Capabilities,
    Devices,
    Encrypted,
    ExecutablePlace,
    FileType,
    NotInspectable,
    Setuid,
)
from appliance.content_rules.image_rules import BaseAge, BaseImage, ImageAge, MediaType
from appliance.content_rules.rule import SEVERITIES, Rule
from appliance.content_rules.secret_rules import PrivateKey, PrivateKeyInProgram, Secret
from appliance.content_rules.size_rules import DeletedFiles, LargeLayer, PackageCache
from bundles.errors import LockgateError, UsageError
from bundles.io.display import safe

GROUP: Final = "lockgate.content_rules"
BUILT_IN: Final[Mapping[str, type[Rule]]] = {
    rule.id: rule
    for rule in (
        PrivateKey, Secret, NotInspectable, Encrypted, Setuid, Capabilities, Devices, ExecutablePlace, FileType,
        PrivateKeyInProgram, MediaType, BaseImage, BaseAge, ImageAge, LargeLayer, PackageCache, DeletedFiles,
    )
}  # fmt: skip
"""The rules of this program by their ids, what weighs most first."""
_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Ruled:
    """A rule with its settings. `identity` is the same where the same bytes give the same answer: id, version and
    settings."""

    rule: Rule
    identity: str
    place: tuple[str, str, str] | None = None
    """Of a third party's rule: the folder that its package lies in, its module and its class there."""
    name: str = ""

    @property
    def id(self) -> str:
        """The rule's id."""
        return self.name or self.rule.id


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules by their ids. `identity` is of all of them."""

    rules: Mapping[str, Ruled]

    @property
    def identity(self) -> str:
        """The version of the set."""
        whole = json.dumps([one.identity for one in self.rules.values()])
        return hashlib.sha256(whole.encode()).hexdigest()[:32]


def rule_set(asked: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> RuleSet:
    """Every built-in rule, and what is asked for beside: ids with settings. Raises UsageError naming the rule that is
    not installed, or whose settings are none."""
    settings = dict(asked)
    rules = {name: _ruled(rule, settings.pop(name, {})) for name, rule in BUILT_IN.items()}
    for name, given in settings.items():
        kind, place = installed(name)
        rules[name] = _ruled(kind, given, place)
    return RuleSet(rules)


@lru_cache(maxsize=64)
def installed(name: str) -> tuple[type[Rule], tuple[str, str, str]]:
    """A rule of a third party, and where it lies. Raises UsageError."""
    found = [one for one in entry_points(group=GROUP) if one.name == name]
    if len(found) != 1:
        what = "no content rule of that id is installed" if not found else "several packages have a content rule"
        raise UsageError(what, thing=safe(name)[:60], remedy="see docs/howto/content-rules.md, Rules of your own")
    try:
        rule = found[0].load()
        fits = issubclass(rule, Rule) and rule.id == name and rule.severity in SEVERITIES
        fits = fits and all(isinstance(text, str) and 0 < len(text) <= _TEXT for text in (rule.message, rule.remedy))
        fits = fits and isinstance(rule.version, int) and issubclass(rule.Settings, msgspec.Struct)
    except Exception as error:  # whatever somebody else's module raises
        raise UsageError(
            "a content rule cannot be loaded", thing=f"{name}: {type(error).__name__}", remedy="fix its package"
        ) from None
    if not fits:
        raise UsageError(
            "an entry point that is no content rule", thing=name, remedy="it is a Rule whose id is the entry's name"
        )
    folder = "" if found[0].dist is None else str(found[0].dist.locate_file(""))
    return rule, (folder, found[0].module, found[0].attr)


def _ruled(kind: type[Rule], given: Mapping[str, Any], place: tuple[str, str, str] | None = None) -> Ruled:
    try:
        settings = msgspec.convert(dict(given), kind.Settings, strict=True)
        rule = kind(settings)
    except msgspec.ValidationError as error:
        keys = ", ".join(one.encode_name for one in msgspec.structs.fields(kind.Settings)) or "none"
        raise UsageError(
            f"settings of the content rule {kind.id}: {str(error)[:160]}", remedy=f"its settings: {keys}"
        ) from None
    except LockgateError as error:
        raise UsageError(
            f"settings of the content rule {kind.id}: {error.what}", thing=error.thing, remedy=error.remedy
        ) from None
    whole = json.dumps([kind.id, kind.version, msgspec.to_builtins(settings)], sort_keys=True)
    return Ruled(rule, f"{kind.id} {kind.version} {hashlib.sha256(whole.encode()).hexdigest()[:24]}", place)
