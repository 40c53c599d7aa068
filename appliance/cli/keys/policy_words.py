"""Words and fields for rules, gates, stages and exceptions of the policy for images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bundles.io.display import safe, some

if TYPE_CHECKING:
    from appliance.image_signatures.tested import Tested
    from appliance.settings.gates import Gate, PolicyException
    from appliance.settings.image_policy import ImagePolicy, ImageRule, PolicyRules


def described(rules: list[tuple[int, ImageRule]]) -> list[dict[str, Any]]:
    """Rules as fields, each with what it asks for in words."""
    import msgspec

    from appliance.image_signatures.rules import asks

    return [{"rule": number, "asks": asks(rule), **msgspec.to_builtins(rule)} for number, rule in rules]


def rules_of(policy: ImagePolicy | PolicyRules | None, repository: str) -> list[tuple[int, ImageRule]]:
    """The rules, or those about a repository, with their numbers."""
    rules = [] if policy is None else list(enumerate(policy.image, 1))
    return [one for one in rules if not repository or one[1].names(repository)]


def further(policy: ImagePolicy | PolicyRules | None, repository: str, now: str) -> dict[str, list[dict[str, Any]]]:
    """Gates, stages, exceptions and rules of promotion, or those about a repository, as fields."""
    import msgspec

    from appliance.permissions import matches

    if policy is None:
        return {"gates": [], "stages": [], "exceptions": [], "promotions": []}
    gates = [one for one in enumerate(policy.gate, 1) if not repository or one[1].names(repository)]
    stages = [one for one in policy.stage if not repository or one.holds(repository)]
    exceptions = [
        one
        for one in policy.exception
        if not repository or any(matches(pattern, repository) for pattern in one.repositories)
    ]
    promotions = [
        one
        for one in policy.promotion
        if not repository or any(matches(pattern, repository) for pattern in one.repositories)
    ]
    return {
        "gates": [{"gate": number, "asks": asked(gate), **msgspec.to_builtins(gate)} for number, gate in gates],
        "stages": [{**msgspec.to_builtins(stage), "prefix": stage.root} for stage in stages],
        "exceptions": exceptions_of(exceptions, now),
        "promotions": msgspec.to_builtins(promotions),
    }


def asked(gate: Gate) -> str:
    """What a gate asks for, in words."""
    words = []
    if gate.max_severity != "any":
        grace = ", ".join(f"{name} {some(days, 'day')}" for name, days in sorted(gate.grace_days.items()))
        words.append(f"nothing above {gate.max_severity}{f' (grace: {grace})' if grace else ''}")
    words += ["nothing exploited"] if gate.exploited == "never" else []
    words += [f"advisories of {some(gate.advisories_days, 'day')} at most"] if gate.advisories_days else []
    words += [f"a scan of {some(gate.scan_days, 'day')} at most"] if gate.scan_days else []
    words += [f"an SBOM ({gate.sbom})"] if gate.sbom != "none" else []
    if gate.asks_to_know:
        allowed = f" but {', '.join(gate.allow_gaps)}" if gate.allow_gaps else ""
        words.append(f"nothing unknown{allowed}")
    if gate.malware != "any":
        days = f", seen {some(gate.malware_days, 'day')} ago at most" if gate.malware_days else ""
        words.append(f"no malware{days}")
    if gate.rules:
        most = f" above {gate.max_rule_severity}" if gate.max_rule_severity != "none" else ""
        words.append(f"nothing{most} found by content rules ({', '.join(gate.rules)})")
    words += [f"licenses of {', '.join(gate.allow_licenses)} alone"] if gate.allow_licenses else []
    words += [f"no license of {', '.join(gate.deny_licenses)}"] if gate.deny_licenses else []
    words += ["unknown licenses too"] if gate.unknown_licenses == "allow" else []
    words += ["whatever VEX says"] if gate.vex == "ignored" else []
    return ", ".join(words)


def lines(rules: list[dict[str, Any]], more: dict[str, list[dict[str, Any]]]) -> list[str]:
    """A line for each rule, gate, stage, exception and rule of promotion."""
    found = [f"rule {one['rule']} ({one['mode']}) {', '.join(one['repositories'])}: {one['asks']}" for one in rules]
    found += [
        f"gate {one['gate']} ({one['mode']}) {', '.join(one['repositories'])} at {', '.join(one['at'])}: {one['asks']}"
        for one in more["gates"]
    ]
    found += [_stage(one) for one in more["stages"]]
    found += [exception_line(one) for one in more["exceptions"]]
    found += [_promotion(one) for one in more["promotions"]]
    return [safe(line) for line in found]


def _stage(one: dict[str, Any]) -> str:
    moving = f" but {', '.join(one['moving'])}" if one["moving"] else ""
    tags = f"tags stay{moving}" if one["immutable"] else "tags move"
    sources = f"from {', '.join(one['from'])}" if one["from"] else "from any repository"
    entry = "by promotion and release alone" if one["entry"] == "promotion" else "by any way"
    return f"stage {one['name']}: {one['prefix']}/**, {sources}, {entry}, {tags}"


def _promotion(one: dict[str, Any]) -> str:
    wait = f"after {some(one['after_hours'], 'hour')}" if one["after_hours"] else "at once"
    at = f" at {one['tag']}" if one["tag"] else ""
    back = ", and rolled back where it would not pass any more" if one["roll_back"] else ""
    return (
        f"promotion {one['name']}: {', '.join(one['tags'])} of {', '.join(one['repositories'])} to {one['to']}{at}, "
        f"by itself {wait}{back}"
    )


def exception_line(one: dict[str, Any]) -> str:
    """An exception in one line."""
    about = one["advisory"] or f"rule {one['rule']}"
    digest = f" {one['digest']}" if one["digest"] else ""
    state = "over since" if one["expired"] else "until"
    return (
        f"exception {one['id']}: {about} in {', '.join(one['repositories'])}{digest}, {state} {one['until']}, "
        f"{one['owner']}: {one['reason']}"
    )


def tested_document(tested: Tested) -> dict[str, list[dict[str, Any]]]:
    """`results` of the rules and `gates`, line by line, as fields."""
    results = [
        {"image": one.digest, "platform": one.platform, "rule": one.rule, "mode": one.mode,
         "satisfied": one.why is None, "why": one.why or ""}
        for one in tested.signatures
    ]  # fmt: skip
    gates = [
        {"gate": one.gate, "mode": one.mode, "at": list(one.at), "rule": one.rule, "image": one.digest,
         "platform": one.platform, "met": one.met, "why": one.why, "asks": one.asks,
         "exceptions": list(one.exceptions), "grace": one.grace}
        for one in tested.gates
    ]  # fmt: skip
    return {"results": results, "gates": gates}


def tested_lines(document: dict[str, Any]) -> list[str]:
    """A line for each rule of the policy and of each gate, met or not, and what would satisfy it."""
    found = [
        f"{'[ok]' if one['satisfied'] else '[!!]'} rule {one['rule']} ({one['mode']}) {one['platform'] or '-'}"
        f" {one['image']} {one['why']}".rstrip()
        for one in document["results"]
    ]
    for one in document["gates"]:
        by = f" (by {', '.join(one['exceptions'])})" if one["exceptions"] else ""
        mark, at = "[ok]" if one["met"] else "[!!]", ", ".join(one["at"])
        found.append(
            f"{mark} gate {one['gate']} ({one['mode']}, {at}) {one['rule']} {one['platform'] or '-'} {one['image']}"
            f" {one['why']}{by}"
        )
        found += [f"     to open it: {one['asks']}"] if one["asks"] else []
    return [safe(line) for line in found]


def exceptions_of(exceptions: Iterable[PolicyException], now: str) -> list[dict[str, Any]]:
    """Exceptions as fields."""
    import msgspec

    return [{**msgspec.to_builtins(one), "expired": one.is_over(now)} for one in exceptions]
