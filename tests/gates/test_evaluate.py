"""Gates over facts: every rule met and not met, what is not known, grace, VEX and exceptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.gates.evaluate import evaluate
from appliance.gates.facts import ContentFacts, FindingFacts, Knowledge, Line, MalwareFacts, SourceFacts
from appliance.settings.gates import Gate, PolicyException, Stage, check_stages, in_stage
from appliance.settings.image_policy import ImagePolicy, PolicyRules, decode, encode, read_rules
from bundles.errors import LockgateError, UsageError

NOW = "2026-06-15T12:00:00Z"
DIGEST = f"sha256:{'1' * 64}"
INDEX = f"sha256:{'2' * 64}"
KNOWN = Knowledge(catalogue="2026-06-14T00:00:00Z")


def finding(name: str = "CVE-2026-1", severity: str = "high", **more: Any) -> FindingFacts:
    given: dict[str, Any] = {"package": "openssl", "version": "3.0.1", "exploited": False, **more}
    return FindingFacts(name, frozenset({name, f"GHSA-{name}"}), severity, **given)


def image(*findings: FindingFacts, **more: Any) -> ContentFacts:
    scanned: dict[str, Any] = {
        "state": "scanned", "scanned_at": "2026-06-10T12:00:00Z", "sbom": "own",
        "sources": (SourceFacts("osv", "2026-06-12T00:00:00Z"),), **more,
    }  # fmt: skip
    return ContentFacts(DIGEST, "image", True, findings=findings, **scanned)


def asked(
    content: ContentFacts, known: Knowledge = KNOWN, exceptions: tuple[PolicyException, ...] = (), now: str = NOW,
    **gate: Any,
) -> dict[str, Line]:  # fmt: skip
    lines = evaluate(1, Gate(repositories=["**"], **gate), "team/app", content, known, exceptions, now)
    return {line.rule: line for line in lines}


def met(*given: Any, **more: Any) -> dict[str, bool]:
    return {rule: line.met for rule, line in asked(*given, **more).items()}


def allowing(name: str = "one", **more: Any) -> PolicyException:
    given: dict[str, Any] = {"repositories": ["team/**"], "until": "2026-07-01T00:00:00Z", **more}
    return PolicyException(id=name, owner="Anna", reason="no fix yet", **given)


@pytest.mark.parametrize(
    ("content", "gate", "rule", "expected"),
    [
        (image(finding()), {"max_severity": "high"}, "severity", True),
        (image(finding()), {"max_severity": "medium"}, "severity", False),
        (image(finding(severity="unknown")), {"max_severity": "high"}, "severity", False),
        (image(finding(severity="none")), {"max_severity": "none"}, "severity", True),
        (image(finding(answered="not_affected")), {"max_severity": "low"}, "severity", True),
        (image(finding(answered="fixed")), {"max_severity": "low", "vex": "ignored"}, "severity", False),
        (image(finding(exploited=True, severity="low")), {"exploited": "never"}, "exploited", False),
        (image(finding()), {"exploited": "never"}, "exploited", True),
        (image(), {"scan_days": 5}, "scan", True),
        (image(), {"scan_days": 4}, "scan", False),
        (image(scanned_at=""), {"scan_days": 4}, "scan", False),
        (image(scanned_at="2027-01-01T00:00:00Z"), {"scan_days": 4}, "scan", False),
        (image(), {"advisories_days": 3}, "advisories", True),
        (image(), {"advisories_days": 2}, "advisories", False),
        (image(sources=()), {"advisories_days": 3650}, "advisories", False),
        (image(sources=(SourceFacts("osv", "soon"),)), {"advisories_days": 3650}, "advisories", False),
        (image(), {"sbom": "own"}, "sbom", True),
        (image(sbom="carried"), {"sbom": "own"}, "sbom", False),
        (image(sbom="carried"), {"sbom": "any"}, "sbom", True),
        (image(sbom=""), {"sbom": "any"}, "sbom", False),
        (image(gaps=("unread-layers",)), {"inspected": True}, "inspected", False),
        (image(gaps=("no-advisories",)), {"max_severity": "high"}, "inspected", False),
        (image(gaps=("no-advisories",)), {"max_severity": "high", "allow_gaps": ["no-advisories"]}, "inspected", True),
    ],
)  # fmt: skip
def test_a_rule_says_whether_it_is_met_and_else_what_would_satisfy_it(
    content: ContentFacts, gate: Mapping[str, Any], rule: str, expected: bool
) -> None:
    line = asked(content, **gate)[rule]
    assert line.met is expected
    assert line.why
    assert bool(line.asks) is not expected
    assert line.refuses is not expected


def test_what_was_not_scanned_here_is_never_clean() -> None:
    """Others' documents, an SBOM that could not be read, and no document at all."""
    everything = {"max_severity": "high", "exploited": "never", "scan_days": 9, "advisories_days": 9, "sbom": "own"}
    for state, sbom in (("carried", "carried"), ("not-scanned", "")):
        unknown = ContentFacts(DIGEST, "image", True, state, sbom=sbom)
        assert set(met(unknown, **everything).values()) == {False}
    assert set(met(image(), Knowledge(), exploited="never").values()) == {True, False}
    assert (
        "not-scanned" in asked(ContentFacts(DIGEST, "image", True, "not-scanned"), max_severity="high")["severity"].why
    )


LOOKED = {"blobs": 2, "missing": 0, "since": "2026-06-10T12:00:00Z"}


@pytest.mark.parametrize(
    ("known", "days", "expected"),
    [
        (LOOKED, 0, True), (LOOKED, 5, True), (LOOKED, 4, False), (LOOKED | {"missing": 1}, 0, False),
        (LOOKED | {"since": ""}, 0, False), (LOOKED | {"since": "2027-01-01T00:00:00Z"}, 0, False),
        (LOOKED | {"found": [("a!b", "Eicar")]}, 0, False), (LOOKED | {"uninspected": 1}, 0, False),
        (LOOKED | {"uninspected": 2, "unseen": [("a", "encrypted")]}, 0, False), ({"blobs": 0, "missing": 0}, 0, True),
    ],
)  # fmt: skip
def test_what_nobody_looked_into_for_malware_is_not_clean(known: dict[str, Any], days: int, expected: bool) -> None:
    line = asked(image(malware=MalwareFacts(**known)), malware="none", malware_days=days)["malware"]
    assert line.met is expected
    assert "malware" not in asked(image(malware=MalwareFacts(**known)), scan_days=9)
    assert met(image(), malware="none") == {"malware": False}
    chart = ContentFacts(DIGEST, "chart", False, "not-scanned", malware=MalwareFacts(**known))
    assert met(chart, malware="none", malware_days=days, allow_gaps=["not-an-image"])["malware"] is expected


def test_a_policy_without_malware_is_written_as_before() -> None:
    gate = Gate(repositories=["**"], scan_days=9)
    raw = encode(ImagePolicy.of(PolicyRules(image=[], gate=[gate]), "bravo", 1))
    assert b"malware" not in raw
    asks = Gate(repositories=["**"], malware="none", malware_days=3)
    assert decode(encode(ImagePolicy.of(PolicyRules(image=[], gate=[asks]), "bravo", 1))).gate == [asks]


def test_what_is_no_image_passes_where_the_policy_says_so_alone() -> None:
    chart = ContentFacts(DIGEST, "chart", False, "not-scanned")
    everything: dict[str, Any] = {"max_severity": "high", "exploited": "never", "scan_days": 9, "sbom": "own"}
    assert set(met(chart, **everything).values()) == {False}
    assert set(met(chart, **everything, allow_gaps=["not-an-image"]).values()) == {True}
    # What runs is an image, whatever it calls itself: being let be is not for it.
    liar = ContentFacts(DIGEST, "sbom", True, "not-scanned")
    assert set(met(liar, **everything, allow_gaps=["not-an-image"]).values()) == {False}


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("2026-06-10T00:00:00Z", True), ("2026-06-10T00:00:00.123456Z", True), ("2026-06-01T11:59:59Z", False),
        ("", False), ("2026-06-16T00:00:00Z", False), ("yesterday", False), ("2026-99-01T00:00:00Z", False),
    ],
)  # fmt: skip
def test_grace_runs_from_the_day_on_which_the_advisory_was_published(published: str, expected: bool) -> None:
    line = asked(image(finding(published=published)), max_severity="medium", grace_days={"high": 14})["severity"]
    assert line.met is expected
    assert bool(line.grace) is expected
    worse = image(finding(severity="critical", published=published))
    assert asked(worse, max_severity="medium", grace_days={"high": 14})["severity"].met is False
    assert asked(image(finding(exploited=True, published=published)), exploited="never", max_severity="medium",
                 grace_days={"high": 14})["exploited"].met is False  # fmt: skip


def test_an_exception_counts_for_what_it_names_until_it_is_over() -> None:
    one, both = finding(), image(finding(), finding("CVE-2026-2"))
    for allowed in (allowing(advisory="CVE-2026-1"), allowing(advisory="GHSA-CVE-2026-1"), allowing(rule="severity")):
        line = asked(image(one), exceptions=(allowed,), max_severity="low")["severity"]
        assert (line.met, line.exceptions) == (True, ("one",))
        assert asked(image(one), exceptions=(allowed,), max_severity="low", now=allowed.until)["severity"].met is False
        elsewhere = replace_patterns(allowed, ["other/**"])
        assert asked(image(one), exceptions=(elsewhere,), max_severity="low")["severity"].met is False
    half = asked(both, exceptions=(allowing(advisory="CVE-2026-1"),), max_severity="low")["severity"]
    assert (half.met, half.exceptions) == (False, ("one",))
    assert asked(image(one), exceptions=(allowing(rule="sbom"),), max_severity="low")["severity"].met is False


def replace_patterns(one: PolicyException, patterns: list[str]) -> PolicyException:
    return PolicyException(**{name: getattr(one, name) for name in one.__struct_fields__} | {"repositories": patterns})


def test_an_exception_of_a_digest_is_about_it_and_what_an_index_of_that_digest_names() -> None:
    exact, other = allowing(rule="severity", digest=DIGEST), allowing(rule="severity", digest=INDEX)
    assert met(image(finding()), exceptions=(exact,), max_severity="low")["severity"] is True
    assert met(image(finding()), exceptions=(other,), max_severity="low")["severity"] is False
    named = replace(image(finding()), also=frozenset({INDEX}))
    assert met(named, exceptions=(other,), max_severity="low")["severity"] is True


def test_a_gate_that_warns_or_is_off_refuses_nothing() -> None:
    assert not any(line.refuses for line in asked(image(finding()), max_severity="low", mode="warn").values())
    assert not Gate(repositories=["**"], max_severity="low", mode="off").names("team/app")
    assert not Gate(repositories=["**"], max_severity="low", at=["pull"]).names("team/app", "promotion")


GATE = "[[gate]]\nrepositories = ['**']\n"
EXCEPTION = "[[exception]]\nid = 'one'\nowner = 'Anna'\nreason = 'no fix'\nrepositories = ['**']\n"


@pytest.mark.parametrize(
    "text",
    [
        GATE, f"{GATE}max_severity = 'urgent'", f"{GATE}max_severity = 'low'\nat = []", f"{GATE}scan_days = -1",
        f"{GATE}sbom = 'own'\ngrace_days = {{high = 1}}", f"{GATE}max_severity = 'low'\ngrace_days = {{grave = 1}}",
        f"{GATE}exploited = 'never'\nat = ['pull', 'pull']", f"{GATE}sbom = 'own'\nallow_gaps = ['everything']",
        "[[gate]]\nrepositories = []\nsbom = 'own'", f"{GATE}sbom = 'own'\nmore = 1",
        "[[stage]]\nname = 'Production'", "[[stage]]\nname = 'a'\nfrom = ['b']", "[[stage]]\nname = 'a'\nfrom = ['a']",
        "[[stage]]\nname = 'a'\n[[stage]]\nname = 'a'", "[[stage]]\nname = 'a'\n[[stage]]\nname = 'b'\nprefix = 'a/b'",
        "[[stage]]\nname = 'a'\nmoving = ['latest']", "[[stage]]\nname = 'a'\nprefix = 'A b'",
        EXCEPTION, f"image = []\n{EXCEPTION}until = '2027-01-01T00:00:00Z'",
        f"image = []\n{EXCEPTION}until = 'later'\nrule = 'sbom'",
        f"image = []\n{EXCEPTION}until = '2027-01-01T00:00:00Z'\nrule = 'sbom'\nadvisory = 'CVE-2026-1'",
        f"image = []\n{EXCEPTION}until = '2027-01-01T00:00:00Z'\nrule = 'signatures'",
        f"image = []\n{EXCEPTION}until = '2027-01-01T00:00:00Z'\nrule = 'sbom'\ndigest = 'sha256:1'",
    ],
)  # fmt: skip
def test_a_gate_a_stage_or_an_exception_with_a_slip_is_refused_by_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(UsageError, match=r"policy\.toml"):
        read_rules(tmp_path / "policy.toml")


def test_a_document_without_gates_is_written_as_earlier_versions_wrote_it() -> None:
    plain = ImagePolicy.of(PolicyRules(), "bravo", 1)
    assert set(json.loads(encode(plain))) == {"type", "site", "number", "image"}
    full = ImagePolicy.of(
        PolicyRules(gate=[Gate(repositories=["**"], sbom="own")], stage=[Stage(name="dev", sources=[])],
                    exception=[allowing(rule="sbom")]), "bravo", 2,
    )  # fmt: skip
    assert decode(encode(full)) == full
    with pytest.raises(LockgateError):
        decode(encode(full).replace(b'"sbom":"own"', b'"sbom":"none"'))


def test_a_repository_has_one_name_in_each_stage() -> None:
    stages = [Stage(name="dev"), Stage(name="production", prefix="live", sources=["dev"])]
    check_stages(stages)
    assert in_stage(stages[1], "dev/team/app", stages) == "live/team/app"
    assert in_stage(stages[1], "team/app", stages) == "live/team/app"
    assert in_stage(stages[0], "live/team/app", stages) == "dev/team/app"
    assert [stage.holds("lively/app") for stage in stages] == [False, False]
