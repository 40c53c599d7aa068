"""Who must agree before a bundle is released: the station's `approvals.toml` (docs/reference/approvals.md).

Decided from values alone. What the file cannot do is lower anything: a rule raises the number of people for the
bundles it names, and on a station that is not open no bundle is released by one person.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.settings.sources import Source, check_sources
from appliance.settings.station import Config
from bundles import limits
from bundles.errors import LockgateError, RefusedError, UsageError
from bundles.format.manifest_check import KINDS
from bundles.io import toml
from bundles.io.files import read_small
from bundles.people import forms
from bundles.signing.keys import check_keyid

FILE: Final = "approvals.toml"
Separation = Literal["importer-approver", "importer-releaser", "approver-releaser"]
Refusable = Literal[
    "misnamed", "escaping", "ambiguous", "mislisted", "unread",
    "capabilities", "devices", "setuid", "absolute", "opaque", "malware", "uninspected",
    "content_findings", "content_unlooked",
]  # fmt: skip
"""What a rule may refuse: the rules of the inspection of layers (appliance.archives.findings) of malware
(appliance.intake.inspectors.malware) and of the content rules (appliance.intake.inspectors.content)."""
UNKNOWN_KIND: Final = "unknown"
"""Among a bundle's kinds: there is an artifact whose kind cannot be told. It counts as any."""
_INSPECTOR: Final = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
_PEOPLE_MOST: Final = 16
_HOURS_MOST: Final = 24 * 366


class ApprovalRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many people must approve bundles of these streams, labels and kinds; each a list of patterns (`*`, `?`).

    `refuse` names findings of the inspection with which such a bundle is neither approved nor released.
    """

    approvals: int
    streams: list[str] = msgspec.field(default_factory=lambda: ["*"])
    classifications: list[str] = msgspec.field(default_factory=lambda: ["*"])
    kinds: list[str] = msgspec.field(default_factory=lambda: ["*"])
    hours: int | None = None
    refuse: list[Refusable] = msgspec.field(default_factory=list)

    def names(self, facts: BundleFacts) -> bool:
        """Whether the rule is about a bundle."""
        return (
            _any(self.streams, [facts.stream])
            and _any(self.classifications, [facts.classification])
            and (self.kinds == ["*"] or UNKNOWN_KIND in facts.kinds or _any(self.kinds, facts.kinds))
        )


class BreakGlass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys in sealed envelopes, for when the people a rule asks for cannot be reached."""

    keys: list[str]
    people: int = 2
    hours: int = 4


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """approvals.toml. `people` says which accounts are a person's: `"Anna Berg" = ["anna"]`; `sources` which source
    may write to which repositories."""

    rule: list[ApprovalRule] = []
    separate: list[Separation] = msgspec.field(default_factory=lambda: ["importer-approver"])
    people: dict[str, list[str]] = {}
    break_glass: BreakGlass | None = None
    required_inspectors: list[str] = []
    sources: list[Source] = []


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What rules ask about a bundle. `kinds` are the announced ones and the ones that its content has."""

    stream: str
    classification: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a bundle takes: people, hours an approval of it is good for, and who may not be the same person. `anybody`:
    who imported it may be any of those who approve, and `people` counts one more for that."""

    people: int
    hours: int
    separate: frozenset[str]
    anybody: bool = False


def load_policy(path: Path) -> Policy:
    """The policy, or the default where there is no file. Raises UsageError naming the file and the field."""
    if not path.exists() and not path.is_symlink():
        return Policy()
    try:
        policy = msgspec.convert(toml.loads(read_small(path, limits.KEY_FILE)), Policy, strict=True)
        _check(policy)
    except LockgateError as error:
        reason = f"{error.what}: {error.thing}" if error.thing else error.what
        raise UsageError(f"damaged rules for approvals ({reason})", thing=str(path), remedy="fix the file") from None
    except msgspec.ValidationError as error:
        reason = str(error).splitlines()[0][:160]
        raise UsageError(f"damaged rules for approvals ({reason})", thing=str(path), remedy="fix the file") from None
    return policy


def _check(policy: Policy) -> None:
    for number, rule in enumerate(policy.rule, 1):
        _within(f"rule {number}: approvals", rule.approvals, 1, _PEOPLE_MOST)
        _within(f"rule {number}: hours", rule.hours or 1, 1, _HOURS_MOST)
        for name in ("streams", "classifications", "kinds"):
            if not getattr(rule, name):
                raise UsageError(f"rule {number}: {name} is empty and names nothing")
        for kind in rule.kinds:
            if not any(fnmatchcase(known, kind) for known in KINDS):
                raise UsageError(f"rule {number}: no kind of artifact is so named", thing=kind)
    if policy.break_glass is not None:
        _within("break_glass: people", policy.break_glass.people, 2, _PEOPLE_MOST)
        _within("break_glass: hours", policy.break_glass.hours, 1, 24)
        for keyid in policy.break_glass.keys:
            check_keyid(keyid)
        if len(set(policy.break_glass.keys)) < policy.break_glass.people:
            raise UsageError(
                "break_glass: fewer keys than people", remedy="name as many sealed keys as people, or more"
            )
    check_sources(policy.sources)
    for name in policy.required_inspectors:
        if _INSPECTOR.match(name) is None:
            raise UsageError(
                "required_inspectors: not an inspector's name", thing=repr(name)[:60], remedy="use a-z, 0-9 and -"
            )
    accounts = [account for mine in policy.people.values() for account in mine]
    if len(accounts) != len(set(accounts)):
        raise UsageError("people: an account is given to two people", remedy="name it once in approvals.toml")


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UsageError(f"{name} must be {least} to {most}", thing=str(value))


def demand(policy: Policy, config: Config, facts: BundleFacts) -> Demand:
    """What a bundle takes on this station."""
    if config.open:
        return Demand(config.threshold, config.approval_hours, frozenset())
    rules = [rule for rule in policy.rule if rule.names(facts)]
    hours = min([config.approval_hours, *(rule.hours for rule in rules if rule.hours is not None)])
    return Demand(max([config.threshold, *(rule.approvals for rule in rules)]), hours, frozenset(policy.separate))


def one_more(wanted: Demand) -> Demand:
    """What a bundle takes that was imported when nobody was logged in: of so many people enough others remain, whoever
    of them imported it. Where the policy lets the importer approve it takes nothing more."""
    if wanted.anybody or "importer-approver" not in wanted.separate:
        return wanted
    return replace(wanted, people=wanted.people + 1, anybody=True)


def check_inspected(policy: Policy, bundle: str, inspectors: Collection[str], unlooked: Collection[str] = ()) -> None:
    """Every inspector that the policy requires now has looked, by the report, and no required one failed on the
    content (`unlooked`). Raises RefusedError naming it."""
    if unlooked:
        raise RefusedError(
            f"a required inspector failed on its content: {', '.join(sorted(unlooked))}",
            thing=bundle,
            remedy=f"reject it, or update this station and run: lockgate intake inspect {bundle}",
            code="not-inspected",
        )
    absent = sorted(set(policy.required_inspectors) - set(inspectors))
    if absent:
        raise RefusedError(
            f"a required inspector has not looked at it: {', '.join(absent)}",
            thing=bundle,
            remedy=f"run: lockgate intake inspect {bundle}",
        )


def check_found(policy: Policy, facts: BundleFacts, bundle: str, found: Mapping[str, int]) -> None:
    """No rule that names the bundle refuses a finding of its report. Raises RefusedError naming the first.

    `found` is how often each rule of the inspection found something; what is not in it was not looked for.
    """
    for rule in policy.rule:
        if not rule.names(facts):
            continue
        for name in rule.refuse:
            if name not in found:
                raise RefusedError(
                    f"its report does not say whether anything is {name}, which a rule of approvals.toml refuses",
                    thing=bundle,
                    remedy=f"run: lockgate intake inspect {bundle}",
                )
            if found[name]:
                raise RefusedError(
                    f"a rule of approvals.toml refuses what is {name}: {found[name]} found",
                    thing=bundle,
                    remedy=f"see: lockgate intake show {bundle}; have the source send it without that",
                )


def is_sealed(policy: Policy, keyid: str) -> bool:
    """Whether a key is one that is kept sealed."""
    return policy.break_glass is not None and keyid in policy.break_glass.keys


def person(policy: Policy, account: str) -> frozenset[str]:
    """Whose an account is: the name of the policy's `people`, or the account's own, in the forms that it is compared
    in."""
    bare = account.partition("(")[0]
    for name, accounts in policy.people.items():
        if account in accounts or bare in accounts:
            return forms(name)
    return forms(bare)


def check_apart(
    policy: Policy, wanted: Demand, *, importer: str, approvers: frozenset[str] = frozenset(), releaser: str = ""
) -> None:
    """Raises RefusedError where one person is two of those that the policy sets apart.

    `importer` and `releaser` are accounts, "" nobody yet; `approvers` are the forms of their names.
    """
    brought = person(policy, importer)
    let = person(policy, releaser) if releaser else frozenset[str]()
    if "importer-approver" in wanted.separate and brought & approvers:
        raise RefusedError("who imported the bundle may not approve it", thing=importer, remedy="ask somebody else")
    if "importer-releaser" in wanted.separate and let & brought:
        raise RefusedError("who imported the bundle may not release it", thing=releaser, remedy="ask somebody else")
    if "approver-releaser" in wanted.separate and let & approvers:
        raise RefusedError("who approved the bundle may not release it", thing=releaser, remedy="ask somebody else")


def _any(patterns: Sequence[str], values: Iterable[str]) -> bool:
    return any(fnmatchcase(value, pattern) for value in values for pattern in patterns)
