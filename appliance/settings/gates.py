"""Gates, stages and exceptions of `policy.toml`: what is asked of content beside its signatures, where it is asked,
which repositories are stages, and what two people let through all the same (docs/adr/0062-gates-and-promotion.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

import msgspec

from appliance import clock
from appliance.permissions import check_pattern, matches
from appliance.settings.content_rules import PREFIX, RuleLevel, check_asked
from bundles.errors import LockgateError, RefusedError, UsageError
from bundles.oci.attached_tags import is_attached
from bundles.oci.digest import Digest
from bundles.oci.reference import check_repository, check_tag_pattern
from bundles.signing.policy import check_owner

Mode = Literal["enforce", "warn", "off"]
Place = Literal["release", "promotion", "pull"]
Allowed = Literal["any", "none", "low", "medium", "high"]
GateRule = Literal["advisories", "scan", "inspected", "severity", "exploited", "sbom", "malware", "licenses"]
Gap = Literal[
    "not-an-image", "unread-layers", "no-packages", "no-advisories", "unnamed-packages", "undecided",
    "malformed-advisories",
]  # fmt: skip
RULES: Final[tuple[GateRule, ...]] = get_args(GateRule)
"""What a gate can ask, in the order in which it is shown."""
PLACES: Final[tuple[Place, ...]] = get_args(Place)
_AT: Final[tuple[Place, ...]] = ("release", "promotion")
_SEVERITIES: Final = ("critical", "high", "medium", "low", "unknown")
_DAYS_MOST: Final = 3650
_GATES_MOST: Final = 256
_STAGES_MOST: Final = 32
_EXCEPTIONS_MOST: Final = 512
_LIST_MOST: Final = 64
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\Z")
_ADVISORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{2,99}\Z")
_REASON: Final = 500
_LICENSE: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.+ -]{0,149}|name:[^\x00-\x1f\x7f]{1,200})\Z")
_LICENSES_MOST: Final = 1024


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of the content of these repositories, and when (`at`).

    `max_severity` is the worst severity that is let through, `any` for all of them; a worse finding is let through for
    `grace_days` of its severity, from the day on which its advisory was published. `exploited`: whether findings that
    the KEV catalogue names are. `scan_days` and `advisories_days`: how old the station's own scan and the advisories
    may be, 0 for any age. `sbom`: `own` asks for the station's own, `any` for one from wherever. `inspected`: nothing
    may be unknown but `allow_gaps`; whoever asks for severities or exploitation asks for that too. `vex`: whether what
    VEX documents call not affected or fixed counts for nothing (`counts`) or as a finding (`ignored`). `malware`:
    `none` asks that the engine of this station looked into all of it and found nothing, `malware_days` ago at most.
    `rules` are content rules (appliance.settings.content_rules.asked_rules) that must have looked into all of it and
    found nothing worse than `max_rule_severity`. `allow_licenses`: packages may be under these licenses alone, empty
    for any but those of `deny_licenses`; `unknown_licenses`: whether packages without a license, or with one that is
    no SPDX expression, are let through (appliance.advisories.licenses).
    """

    repositories: list[str]
    mode: Mode = "enforce"
    at: list[Place] = msgspec.field(default_factory=lambda: list(_AT))
    max_severity: Allowed = "any"
    grace_days: dict[str, int] = {}
    exploited: Literal["any", "never"] = "any"
    advisories_days: int = 0
    scan_days: int = 0
    sbom: Literal["none", "any", "own"] = "none"
    inspected: bool = False
    allow_gaps: list[Gap] = []
    vex: Literal["counts", "ignored"] = "counts"
    malware: Literal["any", "none"] = "any"
    malware_days: int = 0
    rules: list[str] = []
    max_rule_severity: RuleLevel = "none"
    allow_licenses: list[str] = []
    deny_licenses: list[str] = []
    unknown_licenses: Literal["refuse", "allow"] = "refuse"

    @property
    def asks_licenses(self) -> bool:
        """Whether it asks under which licenses packages are."""
        return bool(self.allow_licenses or self.deny_licenses)

    def names(self, repository: str, place: Place | None = None) -> bool:
        """Whether the gate is about a repository (at a place); one that is `off` is about none."""
        where = place is None or place in self.at
        return where and self.mode != "off" and any(matches(pattern, repository) for pattern in self.repositories)

    @property
    def asks_to_know(self) -> bool:
        """Whether nothing may be unknown."""
        return self.inspected or self.max_severity != "any" or self.exploited == "never"


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stage: the repositories below `prefix` (the name, where it is ""). `entry`: whether content comes in by
    promotion and release alone, or by pushes, copies and collects too. `from`: the stages that it is promoted from,
    empty for any repository. `immutable`: no tag is moved or deleted, but those that `moving` names, which promotion
    and rollback alone move."""

    name: str
    prefix: str = ""
    sources: list[str] = msgspec.field(default_factory=list, name="from")
    entry: Literal["promotion", "any"] = "promotion"
    immutable: bool = False
    moving: list[str] = []

    @property
    def root(self) -> str:
        """What its repositories' names begin with, without the slash."""
        return self.prefix or self.name

    def holds(self, repository: str) -> bool:
        """Whether a repository belongs to it."""
        return repository.startswith(f"{self.root}/")


def find_stage(name: str, stages: Sequence[Stage]) -> Stage:
    """The stage of a name. Raises UsageError with those that there are, or how to have one."""
    found = next((one for one in stages if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in stages)
        remedy = (
            f"stages: {known}; see: lockgate policy explain" if known
            else "no stage is named; write [[stage]] into a policy.toml, then: lockgate policy apply FILE --key KEY"
        )  # fmt: skip
        raise UsageError("no such stage", thing=name[:80], remedy=remedy)
    return found


class PolicyException(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is let through until a time, for a reason, by an owner who answers for it: findings of one `advisory`, or
    one `rule` of every gate. In these repositories, and of one manifest alone where `digest` names it."""

    id: str
    owner: str
    reason: str
    until: str
    repositories: list[str]
    digest: str = ""
    advisory: str = ""
    rule: str = ""

    def is_over(self, now: str) -> bool:
        """Whether it counts no more at a time."""
        return self.until <= now

    def names(self, repository: str, digests: Iterable[str]) -> bool:
        """Whether it is about content of a repository that is known by these digests."""
        if self.digest and self.digest not in digests:
            return False
        return any(matches(pattern, repository) for pattern in self.repositories)


def check_gates(gates: Sequence[Gate]) -> None:
    """Raises UsageError naming the gate that is wrong."""
    if len(gates) > _GATES_MOST:
        raise UsageError(f"more than {_GATES_MOST} gates")
    for number, gate in enumerate(gates, 1):
        try:
            _check_gate(gate)
        except LockgateError as error:
            raise UsageError(f"gate {number}: {error.what}", thing=error.thing) from None


def _check_gate(gate: Gate) -> None:
    _check_patterns(gate.repositories)
    for name, values in (("at", gate.at), ("allow_gaps", gate.allow_gaps)):
        if len(set(values)) != len(values):
            raise UsageError(f"{name} names one twice")
    if not gate.at:
        raise UsageError("at is empty, so that it is asked nowhere; use mode = 'off'")
    for severity, days in gate.grace_days.items():
        if severity not in _SEVERITIES:
            raise UsageError(f"grace_days is by {', '.join(_SEVERITIES)}", thing=severity[:60])
        _check_days("grace_days", days)
    if gate.grace_days and gate.max_severity == "any":
        raise UsageError("grace_days without max_severity: nothing would be refused after them")
    _check_days("advisories_days", gate.advisories_days)
    _check_days("scan_days", gate.scan_days)
    _check_days("malware_days", gate.malware_days)
    if gate.malware_days and gate.malware == "any":
        raise UsageError("malware_days without malware: nobody has to look for it")
    asks = gate.asks_to_know or gate.advisories_days or gate.scan_days or gate.sbom != "none" or gate.malware != "any"
    check_asked(gate.rules)
    if gate.max_rule_severity != "none" and not gate.rules:
        raise UsageError("max_rule_severity without rules: no content rule is asked")
    _check_licenses(gate)
    if not asks and not gate.rules and not gate.asks_licenses:
        raise UsageError(f"it asks for nothing; name one of {', '.join(_ASKING)}")


_ASKING: Final = (
    "max_severity", "exploited", "advisories_days", "scan_days", "sbom", "inspected", "malware", "rules",
    "allow_licenses", "deny_licenses",
)  # fmt: skip


def _check_licenses(gate: Gate) -> None:
    both = [*gate.allow_licenses, *gate.deny_licenses]
    if wrong := [one for one in both if not _LICENSE.match(one)]:
        raise UsageError("not a license: an id of SPDX, or name: and the name that SBOMs give", thing=wrong[0][:60])
    if len(set(both)) != len(both) or len(both) > _LICENSES_MOST:
        raise UsageError(f"licenses are named twice, or more than {_LICENSES_MOST} of them")
    if gate.unknown_licenses != "refuse" and not both:
        raise UsageError("unknown_licenses without allow_licenses or deny_licenses: no license is asked for")


def _check_days(name: str, days: int) -> None:
    if not 0 <= days <= _DAYS_MOST:
        raise UsageError(f"the days of {name} are from 0 to {_DAYS_MOST}", thing=str(days))


def check_stages(stages: Sequence[Stage]) -> None:
    """Raises UsageError naming the stage that is wrong."""
    if len(stages) > _STAGES_MOST:
        raise UsageError(f"more than {_STAGES_MOST} stages")
    names = [stage.name for stage in stages]
    if len(set(names)) != len(names):
        raise UsageError("two stages have one name", thing=next(one for one in names if names.count(one) > 1))
    for stage in stages:
        try:
            _check_stage(stage, names)
            for other in stages:
                if other is not stage and f"{other.root}/".startswith(f"{stage.root}/"):
                    raise UsageError(f"the stage {other.name} lies within it", thing=other.root)
        except LockgateError as error:
            raise UsageError(f"stage {stage.name[:60]}: {error.what}", thing=error.thing) from None


def _check_stage(stage: Stage, names: Sequence[str]) -> None:
    if not _NAME.match(stage.name):
        raise UsageError("a stage's name is of small letters, digits and hyphens, 32 at most")
    check_repository(stage.root)
    if unknown := [one for one in stage.sources if one not in names or one == stage.name]:
        raise UsageError("from names no other stage", thing=unknown[0][:60])
    for pattern in stage.moving:
        check_tag_pattern(pattern)
    if len(stage.moving) > _LIST_MOST or len(set(stage.moving)) != len(stage.moving):
        raise UsageError("moving names too many tags, or one twice")
    if stage.moving and not stage.immutable:
        raise UsageError("moving without immutable: every tag of the stage moves")


def check_exceptions(exceptions: Sequence[PolicyException]) -> None:
    """Raises UsageError naming the exception that is wrong."""
    if len(exceptions) > _EXCEPTIONS_MOST:
        raise UsageError(f"more than {_EXCEPTIONS_MOST} exceptions")
    names = [one.id for one in exceptions]
    if len(set(names)) != len(names):
        raise UsageError("two exceptions have one id", thing=next(one for one in names if names.count(one) > 1))
    for one in exceptions:
        try:
            check_exception(one)
        except LockgateError as error:
            raise UsageError(f"exception {one.id[:60]}: {error.what}", thing=error.thing) from None


def check_exception(one: PolicyException) -> None:
    """Raises UsageError saying what is wrong with it."""
    if not _NAME.match(one.id):
        raise UsageError("an exception's id is of small letters, digits and hyphens, 32 at most")
    check_owner(one.owner)
    if not one.reason.strip() or len(one.reason) > _REASON:
        raise UsageError(f"an exception needs a reason, of {_REASON} characters at most")
    try:
        clock.seconds(one.until)
    except ValueError:
        raise UsageError("until is a time, as 2027-01-31T00:00:00Z", thing=one.until[:60]) from None
    _check_patterns(one.repositories)
    if one.digest:
        Digest.parse(one.digest)
    if bool(one.advisory) == bool(one.rule):
        raise UsageError("it names an advisory or a rule, and not both")
    if one.rule and not is_rule(one.rule):
        raise UsageError("no rule of a gate", thing=one.rule[:60], remedy=f"{', '.join(RULES)}, or {PREFIX}ID")
    if one.advisory and not _ADVISORY.match(one.advisory):
        raise UsageError("not an advisory's id", thing=one.advisory[:60])


def is_rule(name: str) -> bool:
    """Whether a gate's lines can have a rule of this name: a gate's own, or a content rule with its prefix."""
    return name in RULES or (name.startswith(PREFIX) and bool(_NAME.match(name.removeprefix(PREFIX))))


def _check_patterns(patterns: Sequence[str]) -> None:
    if not patterns:
        raise UsageError("repositories is empty and names nothing")
    if len(patterns) > _LIST_MOST or len(set(patterns)) != len(patterns):
        raise UsageError("repositories has too many entries, or names one twice")
    for pattern in patterns:
        check_pattern(pattern)


def stage_holding(repository: str, stages: Sequence[Stage]) -> Stage | None:
    """The stage that a repository belongs to."""
    return next((stage for stage in stages if stage.holds(repository)), None)


def in_stage(stage: Stage, repository: str, stages: Sequence[Stage]) -> str:
    """The name of a repository in a stage: below its prefix, in the place of the stage's that it is in now."""
    now = stage_holding(repository, stages)
    rest = repository if now is None else repository[len(now.root) + 1 :]
    return check_repository(f"{stage.root}/{rest}")


def require_entry(stage: Stage | None, repository: str, *, takes_away: bool = False) -> None:
    """Go on where content may come into a repository by another way than promotion and release, or be taken from it.
    Raises RefusedError."""
    if stage is None:
        return
    if takes_away and stage.immutable:
        raise RefusedError(
            "the stage is immutable: nothing is deleted in it", thing=repository,
            remedy="roll it back, or block what nobody may pull: lockgate block add DIGEST --why TEXT", code="stage",
        )  # fmt: skip
    if not takes_away and stage.entry == "promotion":
        raise RefusedError(
            f"content comes into the stage {stage.name} by promotion and by release alone", thing=repository,
            remedy=f"promote it: lockgate repo promote REF --to {stage.name}", code="stage",
        )  # fmt: skip


def staying(stage: Stage | None, tags: Iterable[str]) -> tuple[str, ...]:
    """Those of some tags that move nowhere once they stand; tags by which evidence is attached are none."""
    if stage is None or not stage.immutable:
        return ()
    return tuple(tag for tag in tags if not is_attached(tag))
