"""Whether content passes a gate: facts in, one line for each rule out. What is not known is never met, and is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from appliance import clock
from appliance.gates.facts import ContentFacts, FindingFacts, Knowledge, Line
from appliance.gates.licenses import WITHOUT, licenses_line
from appliance.gates.wanted import Wanted
from appliance.settings.content_rules import PREFIX, asked_rules
from appliance.settings.gates import RULES, Gate, GateRule, PolicyException
from bundles.io.display import some

_DAY: Final = 24 * 60 * 60
_RANK: Final = {"none": 0, "low": 1, "medium": 2, "high": 3, "critical": 4, "unknown": 5}
"""`unknown` may be anything, and so is worse than all."""
_NAMED: Final = 3
"""Findings that a line names; `scan` has all of them."""
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z\Z")
_CONTENT: Final = "lockgate scan REF --content"
_LOOK: Final = "lockgate scan REF --malware"
SCANNED: Final = "scanned"
NOT_AN_IMAGE: Final = "not-an-image"

GAPS: Final[Mapping[str, str]] = {
    NOT_AN_IMAGE: "it is no image, and nothing here looks into it",
    "not-scanned": "the station made no SBOM of it",
    "unread-layers": "parts of it could not be read",
    "no-packages": "no package was found in it",
    "no-advisories": "no advisories are loaded for some of its packages",
    "unnamed-packages": "some of its packages have no package URL",
    "undecided": "some versions could not be compared",
    "malformed-advisories": "advisories about it could not be read",
    "damaged-packages": "what the index has of it is not what was written",
    "damaged-advisories": "rows of the advisories are not what was loaded",
}
"""What keeps content from being known, by its code."""
_CLOSES: Final[Mapping[str, str]] = {
    "not-scanned": "scan it: lockgate scan REF",
    "unread-layers": "scan it again, or see why: lockgate scan REF",
    "no-packages": "an image with packages, or allow_gaps",
    "no-advisories": "load the advisories: lockgate advisories load FILE",
    "undecided": "see which: lockgate scan REF",
    "malformed-advisories": "load a newer export: lockgate advisories load FILE",
    "damaged-packages": "scan it again: lockgate scan REF",
    "damaged-advisories": "see which: lockgate advisories list; then load them again: lockgate advisories load FILE",
}
"""What closes a gap, by its code; of others the policy's `allow_gaps` alone, which takes no damage."""


@dataclass(frozen=True, slots=True)
class _RuleOutcome:
    """What a rule comes to, before exceptions from the rule as a whole."""

    met: bool
    why: str
    asks: str = ""
    exceptions: Sequence[str] = ()
    grace: str = ""


def evaluate(
    number: int, gate: Gate, repository: str, content: ContentFacts, known: Knowledge,
    exceptions: Sequence[PolicyException], now: str, wanted: Mapping[str, Wanted | None] | None = None,
) -> list[Line]:  # fmt: skip
    """A line for each rule that the gate with this number asks of the content, at the time `now`. `wanted` are the
    content rules of the policy: one that is not among them is not met."""
    counting = [one for one in exceptions if not one.is_over(now) and one.names(repository, _names(content))]
    lines, asked = list[Line](), _Question(gate, content, known, counting, clock.seconds(now))
    said_by: list[tuple[str, _RuleOutcome | None]] = [(rule, _EVALUATED[rule](asked)) for rule in RULES]
    for name, severity in asked_rules(gate.rules, list(wanted or {})):
        said_by.append((f"{PREFIX}{name}", _content_rule(asked, name, severity, (wanted or {}).get(name), now)))
    for rule, own in said_by:
        if own is None:
            continue
        said = own
        by_rule = sorted(one.id for one in counting if one.rule == rule)
        if not said.met and by_rule:
            said = _RuleOutcome(True, f"{said.why}; excepted", exceptions=(*said.exceptions, *by_rule))
        lines.append(
            Line(
                gate=number, mode=gate.mode, at=tuple(gate.at), rule=rule, digest=content.digest,
                platform=content.platform, met=said.met, why=said.why, asks="" if said.met else said.asks,
                exceptions=tuple(said.exceptions), grace=said.grace,
            )
        )  # fmt: skip
    return lines


def _names(content: ContentFacts) -> frozenset[str]:
    return content.also | {content.digest}


@dataclass(frozen=True, slots=True)
class _Question:
    gate: Gate
    content: ContentFacts
    known: Knowledge
    exceptions: Sequence[PolicyException]
    now: int

    @property
    def is_let_be(self) -> bool:
        """Whether it is no image, and the gate takes what is none."""
        return not self.content.runs and NOT_AN_IMAGE in self.gate.allow_gaps

    def counting(self) -> Iterator[FindingFacts]:
        """The findings that no VEX document answers, or that count all the same."""
        return (one for one in self.content.findings if not one.answered or self.gate.vex == "ignored")

    def excepted(self, finding: FindingFacts) -> str:
        """The id of an exception about a finding, "" for none."""
        return next((one.id for one in self.exceptions if one.advisory and one.advisory in finding.ids), "")


def _advisories(asked: _Question) -> _RuleOutcome | None:
    most = asked.gate.advisories_days
    if not most:
        return None
    if asked.is_let_be:
        return _RuleOutcome(True, f"{asked.content.kind}: no advisories are about it")
    if (missing := _missing(asked)) is not None:
        return missing
    if not asked.content.sources:
        return _RuleOutcome(False, "no advisories about it are loaded", "load them: lockgate advisories load FILE")
    dated = [(one.source, one.dated) for one in asked.content.sources]
    if asked.gate.exploited == "never" and asked.known.catalogue is not None:
        dated.append(("cisa-kev", asked.known.catalogue))
    ages = [(name, _age(text, asked.now)) for name, text in dated]
    old = [(name, age) for name, age in ages if age is None or age > most]
    if old:
        said = ", ".join(
            f"{name} {'of an unknown day' if age is None else some(age, 'day') + ' old'}" for name, age in old
        )
        load = "load newer ones: lockgate advisories load FILE"
        return _RuleOutcome(False, f"{said}; at most {some(most, 'day')}", load)
    oldest = max(ages, key=lambda one: one[1] or 0)
    return _RuleOutcome(True, f"{oldest[0]} is the oldest, {some(oldest[1] or 0, 'day')}; at most {most}")


def _scan(asked: _Question) -> _RuleOutcome | None:
    most = asked.gate.scan_days
    if not most:
        return None
    if asked.is_let_be:
        return _RuleOutcome(True, f"{asked.content.kind}: nothing is scanned")
    if (missing := _missing(asked)) is not None:
        return missing
    age = _age(asked.content.scanned_at, asked.now)
    if age is None or age > most:
        said = "of an unknown day" if age is None else f"{some(age, 'day')} old"
        return _RuleOutcome(False, f"the scan is {said}; at most {most}", "scan it again: lockgate scan REF --again")
    return _RuleOutcome(True, f"the scan is {some(age, 'day')} old; at most {most}")


def _inspected(asked: _Question) -> _RuleOutcome | None:
    if not asked.gate.asks_to_know:
        return None
    content = asked.content
    if not content.runs:
        gaps = [NOT_AN_IMAGE]
    elif content.state != SCANNED:
        gaps = ["damaged-packages" if "damaged-packages" in content.gaps else "not-scanned"]
    else:
        gaps = list(content.gaps)
    open_, allowed = list[str](), list[str]()
    for gap in gaps:
        (allowed if gap in asked.gate.allow_gaps else open_).append(gap)
    if open_:
        said = "; ".join(f"{gap} ({GAPS.get(gap, 'it is not known')})" for gap in open_)
        closes = dict.fromkeys(_CLOSES.get(gap, f"the policy's allow_gaps with {gap}") for gap in open_)
        return _RuleOutcome(False, said, "; ".join(closes))
    return _RuleOutcome(
        True, f"the policy allows what is not known: {', '.join(allowed)}" if allowed else "nothing is unknown"
    )


def _severity(asked: _Question) -> _RuleOutcome | None:
    most = asked.gate.max_severity
    if most == "any":
        return None
    if asked.is_let_be:
        return _RuleOutcome(True, f"{asked.content.kind}: nothing is scanned")
    if (missing := _missing(asked)) is not None:
        return missing
    worse = [one for one in asked.counting() if _RANK.get(one.severity, 5) > _RANK[most]]
    blocking, excepted, ends = [], set[str](), list[int]()
    for one in worse:
        if by := asked.excepted(one):
            excepted.add(by)
        elif (end := _grace(asked, one)) is not None:
            ends.append(end)
        else:
            blocking.append(one)
    if blocking:
        what = f"{some(len(blocking), 'finding')} above {most}: {_told(blocking)}"
        return _RuleOutcome(False, what, _fixes(blocking), tuple(sorted(excepted)))
    said = [f"nothing above {most}"] if not worse else []
    said += [f"{some(len(ends), 'finding')} in grace until {clock.at(min(ends))[:10]}"] if ends else []
    said += ["the others are excepted" if ends else f"what is above {most} is excepted"] if excepted else []
    return _RuleOutcome(True, "; ".join(said), "", tuple(sorted(excepted)), clock.at(min(ends)) if ends else "")


def _exploited(asked: _Question) -> _RuleOutcome | None:
    if asked.gate.exploited == "any":
        return None
    if asked.is_let_be:
        return _RuleOutcome(True, f"{asked.content.kind}: nothing is scanned")
    if asked.known.catalogue is None:
        what = "no catalogue of exploited vulnerabilities is loaded"
        return _RuleOutcome(False, what, "load CISA's catalogue: lockgate advisories load FILE")
    if (missing := _missing(asked)) is not None:
        return missing
    blocking, excepted = [], set[str]()
    for one in asked.counting():
        if one.exploited is False:
            continue
        if by := asked.excepted(one):
            excepted.add(by)
        else:
            blocking.append(one)
    if blocking:
        return _RuleOutcome(False, f"exploited: {_told(blocking)}", _fixes(blocking), tuple(sorted(excepted)))
    said = "what is exploited is excepted" if excepted else "nothing in it is known to be exploited"
    return _RuleOutcome(True, said, "", tuple(sorted(excepted)))


def _sbom(asked: _Question) -> _RuleOutcome | None:
    wanted = asked.gate.sbom
    if wanted == "none":
        return None
    if asked.is_let_be:
        return _RuleOutcome(True, f"{asked.content.kind}: no SBOM is made of it")
    if asked.content.sbom == "own" or (wanted == "any" and asked.content.sbom):
        return _RuleOutcome(True, "the station's own" if asked.content.sbom == "own" else "one from elsewhere")
    what = "there is none of the station's own" if asked.content.sbom else "there is none"
    return _RuleOutcome(False, what, "scan it: lockgate scan REF")


def _malware(asked: _Question) -> _RuleOutcome | None:
    if asked.gate.malware == "any":
        return None
    known, most = asked.content.malware, asked.gate.malware_days
    if known.found:
        path, signature = known.found[0]
        more = f", and {len(known.found) - 1} more" if len(known.found) > 1 else ""
        return _RuleOutcome(False, f"{signature} in {path or 'a blob'}{more}", "take content without it")
    if known.uninspected:
        path, reason = known.unseen[0] if known.unseen else ("", "")
        named = f": {path or 'a blob'} ({reason})" if reason else ""
        what = f"{some(known.uninspected, 'file was', 'files were')} not inspected, which are not clean{named}"
        return _RuleOutcome(False, what, f"raise the engine's limits, then: {_LOOK}")
    if known.missing:
        what = f"nobody looked for malware in {known.missing} of {some(known.blobs, 'blob')}"
        return _RuleOutcome(False, what, f"look: {_LOOK}")
    age = _age(known.since, asked.now) if known.blobs else 0
    if age is None or (most and age > most):
        said = "of an unknown day" if age is None else f"{some(age, 'day')} old"
        return _RuleOutcome(False, f"the look for malware is {said}; at most {most}", f"look again: {_LOOK}")
    return _RuleOutcome(True, f"the engine found nothing, {some(age, 'day')} ago")


def _licenses(asked: _Question) -> _RuleOutcome | None:
    gate, content = asked.gate, asked.content
    if not gate.asks_licenses:
        return None
    if asked.is_let_be:
        return _RuleOutcome(True, f"{content.kind}: no SBOM is made of it")
    if not content.runs or content.state != SCANNED:
        return _missing(asked)
    if gaps := [one for one in WITHOUT if one in content.gaps and one not in gate.allow_gaps]:
        said = "; ".join(f"{gap} ({GAPS[gap]})" for gap in gaps)
        return _RuleOutcome(False, said, "; ".join(_CLOSES[gap] for gap in gaps))
    return _RuleOutcome(*licenses_line(gate, content.licenses))


def _content_rule(asked: _Question, name: str, given: str, wanted: Wanted | None, now: str) -> _RuleOutcome:
    if wanted is None:
        how = "install it, or correct its settings: lockgate policy check FILE"
        return _RuleOutcome(False, "this station cannot run the rule", how)
    kept = [one.get(name) for one in asked.content.looks]
    looks = [one for one in kept if one is not None and one.identity == wanted.identity]
    failed = next((one.unlooked for one in looks if one.unlooked), "")
    if failed:
        return _RuleOutcome(False, f"not inspected, which is not clean: {failed}", f"see why, then: {_CONTENT}")
    if len(looks) < len(kept):
        what = f"nobody looked into {len(kept) - len(looks)} of {some(len(kept), 'part')} by this rule and its settings"
        return _RuleOutcome(False, what, f"look: {_CONTENT}")
    listed = [each for one in looks for each in one.listed if str(each.get("since", "")) <= now]
    count = len(listed) + sum(one.found - len(one.listed) for one in looks)
    if not count:
        return _RuleOutcome(True, "nothing found")
    severity, first = given or wanted.severity, listed[0] if listed else {}
    place = f": {first['path'] or 'the whole'} ({first['what']})" if first else ""
    what = f"{some(count, 'finding')} of severity {severity}{place}"
    if _RANK[severity] <= _RANK[asked.gate.max_rule_severity]:
        return _RuleOutcome(True, f"{what}; up to {asked.gate.max_rule_severity} is let through")
    return _RuleOutcome(False, what, f"{wanted.remedy}; or an exception of two people: lockgate exception request")


_EVALUATED: Final[Mapping[GateRule, Callable[[_Question], _RuleOutcome | None]]] = {
    "advisories": _advisories,
    "scan": _scan,
    "inspected": _inspected,
    "severity": _severity,
    "exploited": _exploited,
    "sbom": _sbom,
    "malware": _malware,
    "licenses": _licenses,
}


def _missing(asked: _Question) -> _RuleOutcome | None:
    """What is said where content was not scanned here, so that nothing is known of its findings."""
    content = asked.content
    if not content.runs:
        return _RuleOutcome(
            False, f"{NOT_AN_IMAGE} ({GAPS[NOT_AN_IMAGE]})", f"the policy's allow_gaps with {NOT_AN_IMAGE}"
        )
    if "damaged-advisories" in content.gaps:
        return _RuleOutcome(False, f"damaged-advisories ({GAPS['damaged-advisories']})", _CLOSES["damaged-advisories"])
    if content.state == SCANNED:
        return None
    why = f": {content.why}" if content.why else ""
    return _RuleOutcome(False, f"not-scanned ({GAPS['not-scanned']}){why}", _CLOSES["not-scanned"])


def _grace(asked: _Question, finding: FindingFacts) -> int | None:
    """When the grace of a finding is over, in seconds since 1970; None where it has none (left)."""
    days = asked.gate.grace_days.get(finding.severity, 0)
    published = _seconds(finding.published)
    if not days or published is None or published > asked.now:
        return None
    end = published + days * _DAY
    return end if asked.now < end else None


def _age(text: str, now: int) -> int | None:
    """The days since a time; None for none, and for one that lies more than a day ahead."""
    moment = _seconds(text)
    if moment is None or moment > now + _DAY:
        return None
    return max(0, now - moment) // _DAY


def _seconds(text: str) -> int | None:
    match = _TIME.match(text)
    if match is None:
        return None
    try:
        return clock.seconds(f"{match[1]}Z")
    except ValueError:
        return None


def _told(findings: Sequence[FindingFacts]) -> str:
    ranked = sorted(findings, key=lambda one: (-_RANK.get(one.severity, 5), one.id, one.package))
    told = [f"{one.id} ({one.severity}) in {one.package} {one.version}" for one in ranked[:_NAMED]]
    more = f", and {len(ranked) - _NAMED} more" if len(ranked) > _NAMED else ""
    return ", ".join(told) + more


def _fixes(findings: Iterable[FindingFacts]) -> str:
    fixed = dict.fromkeys(f"{one.package} {one.fix}" for one in findings if one.fix)
    update = f"update to {', '.join(list(fixed)[:_NAMED])}; or " if fixed else ""
    return f"{update}an exception of two people: lockgate exception request"
