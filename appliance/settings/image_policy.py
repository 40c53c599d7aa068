"""What is asked of images: `policy.toml`, and the signed document that is made of it.

Rules and gates can only ask for more: what matches none is let in as without a policy, and of several that match each
must be satisfied. What a station goes by is what two people applied (appliance.image_signatures.applied).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from appliance.permissions import check_pattern, matches
from appliance.settings.content_rules import ContentRuleSettings, check_content_rules
from appliance.settings.gates import (
    Gate,
    Mode,
    Place,
    PolicyException,
    Stage,
    check_exceptions,
    check_gates,
    check_stages,
    stage_holding,
)
from appliance.settings.promotion_rules import PromotionRule, check_promotion_rules
from bundles import limits
from bundles.documents.signed import IMAGE_POLICY_TYPE
from bundles.errors import LockgateError, MalformedError, UsageError
from bundles.image_signatures.provenance import repository_of
from bundles.io import strict_json, toml
from bundles.io.files import read_small, require_file
from bundles.oci.reference import check_site
from bundles.people import count
from bundles.signing.keys import check_keyid
from bundles.signing.policy import check_owner

_RULES_MOST: Final = 256
_PEOPLE_MOST: Final = 16
_LIST_MOST: Final = 64
_TEXT_MOST: Final = 300
_UNWRITTEN: Final = frozenset({"gate", "stage", "exception", "promotion", "content_rule"})
"""Lists that are not written where they are empty."""
_RULE_UNWRITTEN: Final = frozenset({"builders", "sources", "signed_days", "attested_days"})
"""Fields of a rule that are not written where they ask for nothing."""
_DAYS_MOST: Final = 3650


class ImageRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of the artifacts of these repositories.

    `people`: how many distinct owners must have signed. `owners`, `keys` and `identities` (subjects of certificates, as
    RFC 4514 writes them) say whose signatures count; an empty list says nothing. `annotations` must have been signed.
    `attestations` are predicate types, each of which must be attested by one whose signature counts. `builders` and
    `sources`: a SLSA provenance that counts must be of one of these builders, and name none but these sources.
    `signed_days` and `attested_days`: how old a signature or an attestation may be by the time that was signed with it,
    0 for any. `children`: whether a signed index answers for what it names (`index`), or each needs its own (`own`).
    """

    repositories: list[str]
    mode: Mode = "enforce"
    people: int = 1
    owners: list[str] = []
    keys: list[str] = []
    identities: list[str] = []
    annotations: dict[str, str] = {}
    attestations: list[str] = []
    children: Literal["index", "own"] = "index"
    builders: list[str] = []
    sources: list[str] = []
    signed_days: int = 0
    attested_days: int = 0

    def names(self, repository: str) -> bool:
        """Whether the rule is about a repository; one that is `off` is about none."""
        return self.mode != "off" and any(matches(pattern, repository) for pattern in self.repositories)


class PolicyRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `policy.toml` asks for: rules about signatures, gates, stages, exceptions from gates, and what is
    promoted by itself."""

    image: list[ImageRule] = []
    gate: list[Gate] = []
    stage: list[Stage] = []
    exception: list[PolicyException] = []
    promotion: list[PromotionRule] = []
    content_rule: list[ContentRuleSettings] = []

    def check(self) -> None:
        """Raises UsageError naming what is wrong."""
        check_rules(self.image)
        check_gates(self.gate)
        check_stages(self.stage)
        check_exceptions(self.exception)
        check_promotion_rules(self.promotion, self.stage)
        check_content_rules(self.content_rule)


class ImagePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document that two people sign: for a site, numbered, each number applied once. A list of gates, stages,
    exceptions or promotions that is empty is not written, nor what a rule does not ask for of what came later, so that
    what earlier versions signed stays the same bytes."""

    type: str = IMAGE_POLICY_TYPE
    site: str
    number: int
    image: list[ImageRule]
    gate: list[Gate] = []
    stage: list[Stage] = []
    exception: list[PolicyException] = []
    promotion: list[PromotionRule] = []
    content_rule: list[ContentRuleSettings] = []

    @classmethod
    def of(cls, asked: PolicyRules, site: str, number: int) -> ImagePolicy:
        """The document that asks for these."""
        return cls(
            site=site, number=number, image=asked.image, gate=asked.gate, stage=asked.stage, exception=asked.exception,
            promotion=asked.promotion, content_rule=asked.content_rule,
        )  # fmt: skip

    @property
    def asked(self) -> PolicyRules:
        """What it asks for."""
        return PolicyRules(
            image=self.image,
            gate=self.gate,
            stage=self.stage,
            exception=self.exception,
            promotion=self.promotion,
            content_rule=self.content_rule,
        )

    def rules(self, repository: str) -> list[tuple[int, ImageRule]]:
        """The rules about a repository, with their numbers from 1."""
        return [(number, rule) for number, rule in enumerate(self.image, 1) if rule.names(repository)]

    def gates(self, repository: str, place: Place | None = None) -> list[tuple[int, Gate]]:
        """The gates about a repository (at a place), with their numbers from 1."""
        return [(number, gate) for number, gate in enumerate(self.gate, 1) if gate.names(repository, place)]

    def stage_of(self, repository: str) -> Stage | None:
        """The stage that a repository belongs to."""
        return stage_holding(repository, self.stage)


_UNKNOWN_FIELD: Final = re.compile(r"unknown field `([^`]*)`")
"""What msgspec says of a key that no part of a policy has."""


def read_rules(path: Path) -> PolicyRules:
    """What a `policy.toml` asks for. Raises UsageError naming the file and the rule."""
    require_file(path)
    try:
        fields = toml.loads(read_small(path, limits.IMAGE_POLICY))
        found = msgspec.convert(fields, PolicyRules, strict=True)
        if not fields.keys() & {"image", "gate", "stage"}:
            raise UsageError("it holds no [[image]], [[gate]] or [[stage]]; image = [] ends a policy")
        found.check()
        _check_possible(found.image)
    except LockgateError as error:
        reason = f"{error.what}: {error.thing}" if error.thing else error.what
        raise UsageError(f"a damaged policy for images ({reason})", thing=str(path), remedy="fix the file") from None
    except msgspec.ValidationError as error:
        reason = str(error).splitlines()[0][:160]
        raise UsageError(
            f"a damaged policy for images ({reason})", thing=str(path), remedy=_fields_of(reason)
        ) from None
    return found


def _fields_of(reason: str) -> str:
    """Which fields the part has that a reason names, or which parts a policy has, and the one that was meant."""
    parts: Mapping[str, type[msgspec.Struct]] = {
        "image": ImageRule, "gate": Gate, "stage": Stage, "exception": PolicyException, "promotion": PromotionRule,
        "content_rule": ContentRuleSettings,
    }  # fmt: skip
    name = next((name for name in parts if re.search(rf"\$\.{name}\b", reason)), "")
    keys = [one.encode_name for one in msgspec.structs.fields(parts[name])] if name else list(parts)
    unknown = _UNKNOWN_FIELD.search(reason)
    near = [] if unknown is None else get_close_matches(unknown[1], keys, 1, 0.6)
    meant = f"did you mean {near[0] if name else f'[[{near[0]}]]'}? " if near else ""
    if not name:
        return f"{meant}a policy is made of: {', '.join(f'[[{one}]]' for one in parts)}"
    return f"{meant}it is [[{name}]] with: {', '.join(keys)}"


def _check_possible(rules: list[ImageRule]) -> None:
    """No rule asks for more people than it lets count: nothing would ever satisfy it. Raises UsageError naming it."""
    for number, rule in enumerate(rules, 1):
        below = max(len(rule.identities), 1)  # below a root each of them is a person
        for name, most in (("owners", count(rule.owners) * below), ("keys", len(rule.keys) * below)):
            if 0 < most < rule.people:
                raise UsageError(f"rule {number}: people is {rule.people}, and its {name} are {most} at most")


def check_rules(rules: list[ImageRule]) -> None:
    """Raises UsageError naming the rule that is wrong."""
    if len(rules) > _RULES_MOST:
        raise UsageError(f"more than {_RULES_MOST} rules")
    for number, rule in enumerate(rules, 1):
        try:
            _check_rule(rule)
        except LockgateError as error:
            raise UsageError(f"rule {number}: {error.what}", thing=error.thing) from None


def _check_rule(rule: ImageRule) -> None:
    if not rule.repositories:
        raise UsageError("repositories is empty and names nothing")
    for pattern in rule.repositories:
        check_pattern(pattern)
    if not 1 <= rule.people <= _PEOPLE_MOST:
        raise UsageError(f"people is from 1 to {_PEOPLE_MOST}", thing=str(rule.people))
    for name, days in (("signed_days", rule.signed_days), ("attested_days", rule.attested_days)):
        if not 0 <= days <= _DAYS_MOST:
            raise UsageError(f"{name} is from 1 to {_DAYS_MOST}, or 0 for any age", thing=str(days))
    for source in rule.sources:
        if repository_of(source) != source:
            raise UsageError("a source is a repository, without git+ and without a revision", thing=source[:120])
    for keyid in rule.keys:
        check_keyid(keyid)
    for owner in rule.owners:
        check_owner(owner)
    lists: Mapping[str, Any] = {
        "repositories": rule.repositories, "owners": rule.owners, "keys": rule.keys, "identities": rule.identities,
        "attestations": rule.attestations, "annotations": rule.annotations, "builders": rule.builders,
        "sources": rule.sources,
    }  # fmt: skip
    for name, values in lists.items():
        texts = [*values, *(values.values() if isinstance(values, dict) else ())]
        if len(values) > _LIST_MOST or any(not 0 < len(text) <= _TEXT_MOST for text in texts):
            raise UsageError(f"{name} has too many or too long entries, or an empty one")
        if isinstance(values, list) and len(set(values)) != len(values):
            raise UsageError(f"{name} names one twice")


def encode(policy: ImagePolicy) -> bytes:
    """Canonical bytes: what is signed and what is hashed."""
    fields: dict[str, Any] = msgspec.to_builtins(policy)
    fields["image"] = [
        {name: value for name, value in rule.items() if value or name not in _RULE_UNWRITTEN}
        for rule in fields["image"]
    ]
    for gate in fields["gate"]:  # what came later is written where it asks for something
        if gate["malware"] == "any":
            del gate["malware"], gate["malware_days"]
        if not gate["rules"]:
            del gate["rules"], gate["max_rule_severity"]
        if not gate["allow_licenses"] and not gate["deny_licenses"]:
            del gate["allow_licenses"], gate["deny_licenses"], gate["unknown_licenses"]
    return strict_json.canonical({name: value for name, value in fields.items() if value or name not in _UNWRITTEN})


def decode(raw: bytes) -> ImagePolicy:
    """The document in `raw`: canonical, closed, possible. Raises MalformedError."""
    fields = strict_json.loads_canonical(
        raw, ceiling=limits.IMAGE_POLICY, nodes=limits.IMAGE_POLICY_NODES, what="the policy for images"
    )
    try:
        policy = msgspec.convert(fields, ImagePolicy, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError("a malformed policy for images", thing=str(error)[:160]) from None
    if policy.type != IMAGE_POLICY_TYPE or policy.number < 1 or encode(policy) != raw:
        raise MalformedError("not a policy for images", thing=policy.type[:120])
    check_site(policy.site)
    try:
        policy.asked.check()
    except UsageError as error:
        raise MalformedError(error.what, thing=error.thing) from None
    return policy
