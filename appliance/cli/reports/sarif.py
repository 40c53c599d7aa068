"""SARIF 2.1.0 (OASIS, errata 01): a rule for each vulnerability, a result for each finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from appliance.api.scanning import Finding, Scan, ScannedImage
from appliance.cli.reports.common import VERSION, fingerprint, is_set_aside, scanned

_LEVELS: Final = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "none": "note"}
"""SARIF's levels by severity; `unknown` is no low severity, so it is an error."""
_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_Rules = dict[str, tuple[int, dict[str, Any]]]
"""Rules with their places in the list, by id."""


def sarif(scan: Scan, gaps: Mapping[str, str]) -> dict[str, Any]:
    """The log. `gaps` are words for what was not looked at, by code: each is a notification, and the invocation was
    not successful then. Findings that VEX answers are suppressed results, with its reason."""
    rules: _Rules = {}
    results = [_result(scan, image, one, rules) for image in scanned(scan) for one in image.findings]
    driver = {"name": "Lockgate", "semanticVersion": VERSION, "rules": [rule for _, rule in rules.values()]}
    run = {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": scan.complete,
                "toolExecutionNotifications": [
                    {"descriptor": {"id": gap}, "level": "error", "message": {"text": gaps.get(gap, gap)}}
                    for gap in scan.gaps
                ],
            }
        ],
        "results": results,
        "properties": {
            "reference": scan.reference, "digest": scan.digest,
            "advisories": [{"source": one.source, "dated": one.dated, "digest": one.digest} for one in scan.advisories],
        },
    }  # fmt: skip
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(finding: Finding) -> dict[str, Any]:
    properties: dict[str, Any] = {"tags": ["security", "vulnerability"], "severity": finding.severity}
    if finding.score is not None:
        properties["security-severity"] = f"{finding.score:.1f}"
    return {
        "id": finding.id,
        "shortDescription": {"text": finding.summary or finding.id},
        "properties": properties | ({"aliases": list(finding.aliases)} if finding.aliases else {}),
    }


def _result(
    scan: Scan, image: ScannedImage, one: Finding, rules: dict[str, tuple[int, dict[str, Any]]]
) -> dict[str, Any]:
    rules.setdefault(one.id, (len(rules), _rule(one)))
    fix = f"fixed in {one.fix}" if one.fix else "no fix is known"
    place: dict[str, Any] = {
        "logicalLocations": [
            {"fullyQualifiedName": f"{scan.reference} {image.digest} {one.package}", "kind": "package"}
        ]
    }
    if one.path:
        place["physicalLocation"] = {"artifactLocation": {"uri": quote(one.path.lstrip("/"), errors="replace")}}
    result: dict[str, Any] = {
        "ruleId": one.id,
        "ruleIndex": rules[one.id][0],
        "message": {"text": f"{one.package} {one.version}: {one.id} ({one.severity}), {fix}"},
        "locations": [place],
        "partialFingerprints": {"finding/v1": fingerprint(image.digest, one.purl, one.path, one.id)},
        "properties": {
            "package": one.package, "version": one.version, "purl": one.purl, "fix": one.fix, "image": image.digest,
            "platform": image.platform, "exploited": one.exploited, "epss": one.epss, "source": one.source,
        },
    }  # fmt: skip
    # SARIF 2.1.0, section 3.27.10: what is not a failure has the level `none`.
    result |= (
        {"kind": "fail", "level": _LEVELS.get(one.severity, "error")}
        if one.state == "affected"
        else {"kind": "open", "level": "none"}
    )
    if one.vex is not None and is_set_aside(one):
        why = " ".join(part for part in (one.vex.status, one.vex.justification, one.vex.why) if part)
        told = f"{why} ({one.vex.source}, {one.vex.document}, {one.vex.at})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": told}]
    return result
