"""Licenses in gates: what expressions come to, what SBOMs say, and what of it counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.advisories.licenses import Licensed, Terms, decode, judge
from appliance.advisories.licenses import encode as written
from appliance.advisories.sbom import read_sbom
from appliance.gates.evaluate import evaluate
from appliance.gates.facts import ContentFacts, Knowledge, Line
from appliance.gates.wanted import check_rules
from appliance.settings.gates import Gate, PolicyException
from appliance.settings.image_policy import ImagePolicy, PolicyRules, encode, read_rules
from appliance.settings.image_policy import decode as read
from bundles.errors import LockgateError, UsageError

NOW = "2026-06-15T12:00:00Z"
DIGEST = f"sha256:{'1' * 64}"
ALLOW = {"allow": ["MIT", "GPL-2.0-only WITH Classpath-exception-2.0", "name:BSD License"]}
DENY = {"deny": ["GPL-3.0-only", "name:GPL-3"]}


@pytest.mark.parametrize(
    ("texts", "allowed", "denied"),
    [
        (["MIT"], True, True),
        (["mit"], True, True),
        (["GPL-3.0"], False, False),
        (["GPL-3.0-only OR MIT"], True, True),
        (["GPL-3.0-only AND MIT"], False, False),
        (["(MIT OR Apache-2.0) AND GPL-3.0-only"], False, False),
        (["MIT", "GPL-3.0-only"], False, False),
        (["GPL-2.0-only WITH Classpath-exception-2.0"], True, True),
        (["GPL-2.0-only"], False, True),
        (["GPL-3.0-only WITH Classpath-exception-2.0"], False, False),
        (["BSD License"], True, None),
        (["GPL-3"], None, False),
        (["GPL-3 OR MIT"], True, True),
        (["GPL-3 AND something"], None, False),
        (["LicenseRef-MIT-TC"], None, None),
        (["NOASSERTION"], None, None),
        ([""], None, None),
        ([], None, None),
        (["MIT AND"], None, None),
        (["(" * 500 + "MIT" + ")" * 500], None, None),
        (["(" * 90 + "MIT" + ")" * 90], True, True),
        ([" AND ".join(f"a{number}" for number in range(180))], None, None),
    ],
)  # fmt: skip
def test_what_a_license_comes_to(texts: list[str], allowed: bool | None, denied: bool | None) -> None:
    one = Licensed("a", "1", tuple(texts))
    assert judge(one, Terms(frozenset(ALLOW["allow"]), frozenset())) is allowed
    assert judge(one, Terms(frozenset(), frozenset(DENY["deny"]))) is denied


def component(name: str, *licenses: dict[str, Any]) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": "1", "purl": f"pkg:pypi/{name}@1", "licenses": list(licenses)}


def cyclonedx(*components: dict[str, Any]) -> bytes:
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": list(components)}).encode()


def test_what_sboms_say_is_read_and_kept() -> None:
    listed = read_sbom(
        cyclonedx(
            component("a", {"license": {"id": "MIT"}}, {"license": {"name": "BSD License"}}),
            component("b", {"expression": "MIT OR Apache-2.0"}),
            component("c"),
            component("b", {"expression": "GPL-3.0-only"}),
            component("d", {"license": {"name": "x" * 5000}}),
            component("e", *({"license": {"name": str(number)}} for number in range(500))),
            component("f", {}, {"license": []}),
        )
    )
    found = {one.label: one.texts for one in decode(written(listed.licenses))}
    assert found["a"] == ("MIT", "BSD License")
    assert found["b"] == ("MIT OR Apache-2.0", "GPL-3.0-only")
    assert (found["c"], found["f"]) == ((), ("",))
    assert len(found["d"][0]) < 100
    assert len(found["e"]) == 64
    spdx = {
        "spdxVersion": "SPDX-2.3",
        "packages": [{"name": "a", "versionInfo": "1", "licenseDeclared": "MIT"}, {"name": "b", "versionInfo": "2"}],
    }
    said = decode(written(read_sbom(json.dumps(spdx).encode()).licenses))
    assert sorted((one.label, one.texts) for one in said) == [("a", ("MIT",)), ("b", ())]
    with pytest.raises(LockgateError):
        read_sbom(cyclonedx(component("a", "MIT")))  # type: ignore[arg-type]


def line(licenses: list[Licensed] | None, *, exceptions: tuple[PolicyException, ...] = (), **asked: Any) -> Line:
    content: dict[str, Any] = {"digest": DIGEST, "kind": "image", "runs": True, "state": "scanned"}
    content |= asked.pop("content", {})
    gate = Gate(repositories=["**"], **asked)
    facts = ContentFacts(licenses=licenses, **content)
    [found] = [one for one in evaluate(1, gate, "team/app", facts, Knowledge(), exceptions, NOW) if "lic" in one.rule]
    return found


MIT, GPL, NONE = Licensed("a", "1", ("MIT",)), Licensed("bash", "5.2", ("GPL-3.0-only",)), Licensed("c", "3", ())


def test_a_gate_lets_through_what_is_named_and_nothing_that_is_not_known() -> None:
    assert line([MIT], allow_licenses=["MIT"]).met
    refused = line([MIT, GPL, NONE], allow_licenses=["MIT"])
    assert not refused.met
    assert "bash 5.2 (GPL-3.0-only)" in refused.why
    assert "c 3" in refused.why
    assert refused.asks
    assert not line([MIT, NONE], deny_licenses=["GPL-3.0-only"]).met
    assert line([MIT, NONE], deny_licenses=["GPL-3.0-only"], unknown_licenses="allow").met
    assert not line([GPL], deny_licenses=["GPL-3.0-only"], unknown_licenses="allow").met
    assert "--again" in line(None, allow_licenses=["MIT"]).asks
    for content in ({"state": "not-scanned"}, {"state": "carried"}, {"runs": False}, {"gaps": ("unread-layers",)}):
        assert not line([MIT], allow_licenses=["MIT"], content=content).met
    assert line([MIT], allow_licenses=["MIT"], content={"gaps": ("no-advisories",)}).met
    assert line(None, allow_licenses=["MIT"], allow_gaps=["not-an-image"], content={"runs": False}).met
    opened = PolicyException(
        id="one", owner="Anna", reason="bought", until="2026-07-01T00:00:00Z", repositories=["**"], rule="licenses"
    )
    assert line([GPL], allow_licenses=["MIT"], exceptions=(opened,)).met


@pytest.mark.parametrize(
    "asked",
    [
        'allow_licenses = ["MIT", "MIT"]', 'allow_licenses = ["MIT"]\ndeny_licenses = ["MIT"]',
        'scan_days = 1\nunknown_licenses = "allow"', 'allow_licenses = [""]', 'allow_licenses = ["name:"]',
        'deny_licenses = ["a\\u0007"]', 'unknown_licenses = "maybe"',
    ],
)  # fmt: skip
def test_a_gate_that_cannot_be_meant_is_refused(asked: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'[[gate]]\nrepositories = ["**"]\n{asked}\n')
    with pytest.raises(LockgateError):
        read_rules(file)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("mit", "MIT"), ("GPL-2.0", "GPL-2.0-only"), ("GPL", "GPL-1.0-or-later"), ("name:GPL", "GPL-1.0-or-later"),
        ("name:MIT", "MIT"), ("foo", "name:foo"), ("LicenseRef-MIT-TC", "name:LicenseRef-MIT-TC"),
        ("MIT OR Apache-2.0", ""), ("name:foo AND bar", ""), ("name:foo WITH bar", ""),
        ("gpl-2.0-only with classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ],
)  # fmt: skip
def test_a_license_is_written_so_that_something_meets_it(name: str, form: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_rules([], [Gate(repositories=["**"], deny_licenses=[name])])
    assert caught.value.thing == name
    assert (f"write {form}" if form else "name each") in (caught.value.remedy or "")
    if form:
        check_rules([], [Gate(repositories=["**"], deny_licenses=[form])])
        said = Licensed("a", "1", (name.removeprefix("name:"),))
        assert judge(said, Terms(frozenset(), frozenset([form]))) is False


def test_a_policy_without_licenses_is_written_as_before() -> None:
    assert b"licenses" not in encode(ImagePolicy.of(PolicyRules(gate=[Gate(repositories=["**"], scan_days=9)]), "b", 1))
    asked = PolicyRules(gate=[Gate(repositories=["**"], deny_licenses=["MIT"], unknown_licenses="allow")])
    assert read(encode(ImagePolicy.of(asked, "bravo", 1))).asked == asked
