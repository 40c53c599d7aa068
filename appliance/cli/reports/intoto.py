"""An in-toto Statement v1 with the predicate `vulns` 0.2, not signed: `lockgate attest` or another program signs it."""

from __future__ import annotations

from typing import Any, Final

from appliance.api.scanning import Finding, Scan
from appliance.cli.reports.common import TOOL, VERSION, scanned
from bundles.errors import IncompleteError
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference

_PREDICATE: Final = "https://in-toto.io/attestation/vulns/v0.2"


def intoto(scan: Scan, at: str) -> dict[str, Any]:
    """The statement, about the images that were scanned.

    An empty list of results says that nothing was found, and readers pass over fields that they do not know: where
    something was not looked at and nothing was found, there is no statement. Raises IncompleteError.
    """
    images = scanned(scan)
    results = [_result(image.digest, one) for image in images for one in image.findings]
    if not images or not scan.advisories or (not results and not scan.complete):
        raise IncompleteError(
            "no statement is made where nothing was found and not everything was looked at", thing=scan.reference,
            remedy="see what is missing with: lockgate scan REF",
        )  # fmt: skip
    name = Reference.parse(scan.reference).repository
    scanner = {
        "uri": TOOL,
        "version": VERSION,
        "db": {
            "uri": "urn:lockgate:advisories",
            "version": " ".join(f"{one.source}@{one.digest}" for one in scan.advisories),
            # The oldest source: no vulnerability since then need be known.
            "lastUpdate": min(one.dated for one in scan.advisories),
        },
        "result": results,
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": _digest(image.digest)} for image in images],
        "predicateType": _PREDICATE,
        "predicate": {
            "scanner": scanner,
            "metadata": {"scanStartedOn": min(image.at for image in images), "scanFinishedOn": at},
            **({"incomplete": list(scan.gaps)} if scan.gaps else {}),
        },
    }


def _digest(text: str) -> dict[str, str]:
    digest = Digest.parse(text)
    return {digest.algorithm: digest.hex}


def _result(image: str, one: Finding) -> dict[str, Any]:
    severity = [{"method": "lockgate", "score": one.severity}]
    if one.score is not None:
        severity.append({"method": "cvss_score", "score": f"{one.score:.1f}"})
    if one.vector:
        severity.append({"method": "cvss_vector", "score": one.vector})
    if one.epss is not None:
        severity.append({"method": "epss", "score": f"{one.epss:.5f}"})
    words: dict[str, str] = {
        "image": image, "package": one.package, "version": one.version, "purl": one.purl, "path": one.path,
        "fix": one.fix, "state": one.state, "source": one.source, "aliases": " ".join(one.aliases),
        "exploited": "" if one.exploited is None else one.exploited_since or "no",
    }  # fmt: skip
    if one.vex is not None:
        words |= {"vex": one.vex.status, "vex_justification": one.vex.justification, "vex_document": one.vex.document}
    return {"id": one.id, "severity": severity, "annotations": [{key: word} for key, word in words.items() if word]}
