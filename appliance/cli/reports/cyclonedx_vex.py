"""CycloneDX 1.6 with vulnerabilities and their analysis (VEX): the images, what of their packages is affected, by
what, and what is known of it."""

from __future__ import annotations

import uuid
from typing import Any, Final

from appliance.api.scanning import Finding, Scan, ScannedImage
from appliance.cli.reports.common import VERSION, oci_purl, scanned

_STATES: Final = {
    "not_affected": "not_affected", "fixed": "resolved", "affected": "exploitable", "under_investigation": "in_triage",
}  # fmt: skip
_JUSTIFICATIONS: Final = {
    "component_not_present": "code_not_present", "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}  # fmt: skip
"""CycloneDX's words for those of VEX that it has one for; the rest stands in the detail."""
_METHODS: Final = {"CVSS:3.0": "CVSSv3", "CVSS:3.1": "CVSSv31", "CVSS:4.0": "CVSSv4"}
_NAMESPACE: Final = uuid.UUID("0c6a2d2c-6f43-5d0a-9a55-6b2f3d1e9c11")
"""Of the names from which serial numbers are made: the same verdict has the same number."""


def cyclonedx_vex(scan: Scan, at: str) -> dict[str, Any]:
    """The document, made at a time. What was not looked at makes its composition incomplete, and is named in its
    metadata."""
    images = scanned(scan)
    dates = [f"{one.source}={one.digest}" for one in scan.advisories]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, ' '.join((scan.reference, scan.digest, at, *dates)))}",
        "version": 1,
        "metadata": {
            "timestamp": at,
            "tools": {"components": [{"type": "application", "name": "lockgate", "version": VERSION}]},
            "component": {"type": "container", "bom-ref": "artifact", "name": scan.reference, "version": scan.digest},
            "properties": [
                *({"name": "lockgate:gap", "value": gap} for gap in scan.gaps),
                *({"name": f"lockgate:advisories:{one.source}", "value": one.dated} for one in scan.advisories),
            ],
        },
        "components": [_image(scan, image) for image in images],
        "compositions": [
            {
                "aggregate": "complete" if scan.complete else "incomplete",
                "assemblies": ["artifact", *(image.digest for image in images)],
            }
        ],
        "vulnerabilities": [_vulnerability(image, one, number) for image in images
                            for number, one in enumerate(image.findings)],
    }  # fmt: skip


def _ref(image: ScannedImage, finding: Finding) -> str:
    return f"{image.digest} {finding.purl or finding.package} {finding.version} {finding.path}"


def _image(scan: Scan, image: ScannedImage) -> dict[str, Any]:
    packages = {
        _ref(image, one): {
            "type": "library", "bom-ref": _ref(image, one), "name": one.package, "version": one.version,
            **({"purl": one.purl} if one.purl else {}),
            **({"evidence": {"occurrences": [{"location": one.path}]}} if one.path else {}),
        }
        for one in image.findings
    }  # fmt: skip
    found: dict[str, Any] = {
        "type": "container", "bom-ref": image.digest, "name": scan.reference, "version": image.digest,
        "purl": oci_purl(scan.reference, image.digest),
    }  # fmt: skip
    if image.platform:
        found["properties"] = [{"name": "lockgate:platform", "value": image.platform}]
    return found | ({"components": list(packages.values())} if packages else {})


def _vulnerability(image: ScannedImage, one: Finding, number: int) -> dict[str, Any]:
    rating: dict[str, Any] = {"source": {"name": one.source}, "severity": one.severity}
    if one.score is not None:
        rating |= {"score": one.score, "method": _METHODS.get(one.vector[:8], "other"), "vector": one.vector}
    properties = [("lockgate:state", one.state)]
    if one.exploited is not None:
        properties.append(("lockgate:exploited", one.exploited_since or "no"))
    if one.epss is not None:
        properties.append(("lockgate:epss", f"{one.epss:.5f} of {one.epss_dated}"))
    return {
        "bom-ref": f"{image.digest} {number} {one.id}",
        "id": one.id,
        "source": {"name": one.source},
        "references": [{"id": name, "source": {"name": name.partition("-")[0]}} for name in one.aliases],
        "ratings": [rating],
        **({"description": one.summary} if one.summary else {}),
        **({"recommendation": f"take {one.fix}"} if one.fix else {}),
        "analysis": _analysis(one),
        "affects": [
            {"ref": _ref(image, one), "versions": [{"version": one.version or "unknown", "status": _known(one)}]}
        ],
        "properties": [{"name": name, "value": value} for name, value in properties],
    }


def _known(one: Finding) -> str:
    if one.vex is not None and one.vex.status in ("not_affected", "fixed"):
        return "unaffected"
    return "affected" if one.state == "affected" else "unknown"


def _analysis(one: Finding) -> dict[str, Any]:
    """What VEX says; where nothing says anything, somebody has yet to look at it."""
    if one.vex is None:
        return {"state": "in_triage"}
    said = one.vex
    words = [said.status, said.justification, said.why, f"{said.source}: {said.document}"]
    analysis: dict[str, Any] = {"state": _STATES[said.status], "detail": "; ".join(word for word in words if word)}
    if said.justification in _JUSTIFICATIONS:
        analysis["justification"] = _JUSTIFICATIONS[said.justification]
    return analysis | {"lastUpdated": said.at}
