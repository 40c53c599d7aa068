"""Reports are as their formats say, and none of them says less than the verdict."""

from __future__ import annotations

import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from jsonschema import Draft4Validator, Draft7Validator
from referencing import Registry, Resource

from appliance.api.scanning import AdvisorySource, Finding, Scan, ScannedImage, Vex
from appliance.cli.reports.cyclonedx_vex import cyclonedx_vex
from appliance.cli.reports.intoto import intoto
from appliance.cli.reports.sarif import sarif
from bundles.errors import IncompleteError

SCHEMAS: Final = Path(__file__).resolve().parents[1] / "data/report-schemas.zip"
IMAGES: Final = ("sha256:" + "a" * 64, "sha256:" + "b" * 64)
AT: Final = "2026-01-02T03:04:05Z"
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_URI: Final = {"type": "string", "pattern": "^[a-z]+:"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}


def _closed(required: str, **fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "additionalProperties": False, "properties": fields}


def _list(items: Any, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "minItems": least, "items": items}


_RESULT: Final = _closed(
    "id severity",
    id=_TEXT,
    annotations=_list(_TEXTS),
    severity=_list(_closed("method score", method=_TEXT, score=_TEXT)),
)
_SCANNER: Final = _closed(
    "uri db result", uri=_URI, version=_TEXT, result=_list(_RESULT),
    db=_closed("lastUpdate", uri=_URI, version=_TEXT, lastUpdate=_TIME),
)  # fmt: skip
VULNS: Final = _closed(
    "_type subject predicateType predicate",
    _type={"const": "https://in-toto.io/Statement/v1"},
    predicateType={"const": "https://in-toto.io/attestation/vulns/v0.2"},
    subject=_list(_closed("digest", name=_TEXT, digest=_TEXTS | {"minProperties": 1}), 1),
    predicate=_closed(
        "scanner metadata", scanner=_SCANNER, incomplete=_list(_TEXT, 1),
        metadata=_closed("scanStartedOn scanFinishedOn", scanStartedOn=_TIME, scanFinishedOn=_TIME),
    ),
)  # fmt: skip
"""The predicate's fields as its specification has them (in-toto attestation framework, vulns 0.2), which gives no
schema, and the one of our own."""


@cache
def validator(name: str) -> Any:
    if name == "intoto":
        return Draft7Validator(VULNS)
    with zipfile.ZipFile(SCHEMAS) as archive:
        schemas = {one: json.loads(archive.read(one)) for one in archive.namelist() if one.endswith(".json")}
    if name == "sarif":
        return Draft4Validator(schemas["sarif-2.1.0.json"])
    beside = [(f"http://cyclonedx.org/schema/{one}", Resource.from_contents(schemas[one])) for one in schemas
              if "SNAPSHOT" in one]  # fmt: skip
    return Draft7Validator(schemas["bom-1.6.SNAPSHOT.schema.json"], registry=Registry().with_resources(beside))


def require(name: str, document: dict[str, Any]) -> dict[str, Any]:
    document = json.loads(json.dumps(document))
    faults = [f"{'/'.join(map(str, one.path))}: {one.message[:300]}" for one in validator(name).iter_errors(document)]
    assert faults == []
    return document


def finding(name: str, **more: Any) -> Finding:
    fields = {
        "id": name, "state": "affected", "severity": "high", "package": "requests", "version": "2.19",
        "purl": "pkg:pypi/requests@2.19", "ecosystem": "PyPI", "source": "osv-pypi",
    }  # fmt: skip
    return msgspec.convert(fields | more, Finding)


def answered(status: str, **more: Any) -> Vex:
    return Vex(status=status, at=AT, document="https://vendor.example/1", source="vex-1", **more)


ODD: Final = "a b%\x1b[31m\ud800é/../ü"
FINDINGS: Final = (
    finding("PYSEC-1", aliases=("CVE-2024-1", "GHSA-x"), score=9.8, severity="critical", path="/usr/lib/python3/x y",
            vector="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", fix="2.20", summary="It is bad", exploited=True,
            exploited_since="2024-01-01", epss=0.5, epss_dated=AT),
    finding("PYSEC-1", path="/opt/other"), finding("PYSEC-2", severity="unknown", state="undecided", exploited=False),
    finding("PYSEC-3", vex=answered("not_affected", justification="vulnerable_code_not_in_execute_path", why="unused")),
    finding("PYSEC-4", vex=answered("not_affected", justification="vulnerable_code_cannot_be_controlled_by_adversary")),
    finding("PYSEC-5", vex=answered("fixed")), finding("PYSEC-6", vex=answered("affected", why="wait")),
    finding("PYSEC-7", vex=answered("under_investigation")), finding("PYSEC-8", severity="none", purl="", version=""),
    finding(ODD, package=ODD, version=ODD, path=ODD, summary=ODD, fix=ODD, aliases=(ODD,)),
)  # fmt: skip
SOURCES: Final = tuple(
    AdvisorySource(
        source=name,
        digest="sha256:" + "c" * 64,
        dated=dated,
        age_days=1,
        loaded=AT,
        actor="x",
        records=1,
        withdrawn=0,
        malformed=0,
        entries=1,
    )
    for name, dated in (("cisa-kev", "2025-12-31T00:00:00Z"), ("osv-pypi", "2025-06-01T00:00:00Z"))
)


def verdict(*findings: Finding, gaps: tuple[str, ...] = (), states: tuple[str, str] = ("scanned", "scanned")) -> Scan:
    images = [
        ScannedImage(digest=digest, platform=platform, state=state, at="2026-01-01T00:00:00Z", findings=found)
        for digest, platform, state, found in zip(
            IMAGES, ("linux/amd64", ""), states, (findings, findings[:1]), strict=True
        )
    ]
    return Scan(
        reference="team/app:1", digest=IMAGES[0], complete=not gaps, gaps=gaps, images=tuple(images),
        advisories=SOURCES,
    )  # fmt: skip


def test_sarif_has_a_rule_for_each_vulnerability_and_suppresses_what_vex_answers() -> None:
    (run,) = require("sarif", sarif(verdict(*FINDINGS), {}))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [one["id"] for one in rules][:2] == ["PYSEC-1", "PYSEC-2"]
    assert len(run["results"]) == len(FINDINGS) + 1
    assert [rules[one["ruleIndex"]]["id"] for one in run["results"]] == [one["ruleId"] for one in run["results"]]
    by_rule = {one["ruleId"]: one for one in run["results"]}
    assert {name for name, one in by_rule.items() if "suppressions" in one} == {"PYSEC-3", "PYSEC-4", "PYSEC-5"}
    assert (by_rule["PYSEC-2"]["kind"], by_rule["PYSEC-2"]["level"]) == ("open", "none")
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "usr/lib/python3/x%20y"
    assert len({one["partialFingerprints"]["finding/v1"] for one in run["results"]}) == len(run["results"])


def test_cyclonedx_says_of_each_vulnerability_what_is_known_and_names_components_that_are_there() -> None:
    document = require("cyclonedx", cyclonedx_vex(verdict(*FINDINGS), AT))
    states = {one["id"]: one["analysis"] for one in document["vulnerabilities"]}
    assert {name: states[name]["state"] for name in sorted(states) if name.startswith("PYSEC")} == {
        "PYSEC-1": "in_triage", "PYSEC-2": "in_triage", "PYSEC-3": "not_affected", "PYSEC-4": "not_affected",
        "PYSEC-5": "resolved", "PYSEC-6": "exploitable", "PYSEC-7": "in_triage", "PYSEC-8": "in_triage",
    }  # fmt: skip
    assert (states["PYSEC-3"]["justification"], "justification" in states["PYSEC-4"]) == ("code_not_reachable", False)
    refs = [one["bom-ref"] for image in document["components"] for one in [image, *image.get("components", ())]]
    assert len(refs) == len(set(refs))
    assert {one["ref"] for each in document["vulnerabilities"] for one in each["affects"]} <= set(refs)
    assert document["compositions"][0]["aggregate"] == "complete"


def test_an_intoto_statement_is_about_the_images_that_were_scanned_and_dates_the_oldest_source() -> None:
    statement = require("intoto", intoto(verdict(*FINDINGS, states=("scanned", "carried"), gaps=("not-scanned",)), AT))
    assert [one["digest"] for one in statement["subject"]] == [{"sha256": "a" * 64}]
    predicate = statement["predicate"]
    assert predicate["scanner"]["db"]["lastUpdate"] == "2025-06-01T00:00:00Z"
    assert (predicate["incomplete"], len(predicate["scanner"]["result"])) == (["not-scanned"], len(FINDINGS))
    assert {"method": "cvss_score", "score": "9.8"} in predicate["scanner"]["result"][0]["severity"]
    assert require("intoto", intoto(verdict(), AT))["predicate"]["scanner"]["result"] == []


@pytest.mark.parametrize("states", [("scanned", "scanned"), ("scanned", "not-scanned"), ("carried", "not-held")])
def test_no_report_calls_clean_what_was_not_looked_at(states: tuple[str, str]) -> None:
    scan = verdict(*FINDINGS[:1] if states[0] == "carried" else (), gaps=("no-advisories",), states=states)
    with pytest.raises(IncompleteError):
        intoto(scan, AT)
    (run,) = require("sarif", sarif(scan, {"no-advisories": "no advisories"}))["runs"]
    (invocation,) = run["invocations"]
    assert (run["results"], invocation["executionSuccessful"]) == ([], False)
    assert [one["descriptor"]["id"] for one in invocation["toolExecutionNotifications"]] == ["no-advisories"]
    document = require("cyclonedx", cyclonedx_vex(scan, AT))
    assert (document["vulnerabilities"], document["compositions"][0]["aggregate"]) == ([], "incomplete")
    assert {"name": "lockgate:gap", "value": "no-advisories"} in document["metadata"]["properties"]
    with pytest.raises(IncompleteError):
        intoto(Scan(reference="team/app:1", digest=IMAGES[0], complete=True, images=scan.images), AT)
