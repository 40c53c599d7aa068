"""What a rule of the policy for images lets count: signers below a root, look-alike names, and what was attested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.image_signatures.rules import asks, objection
from appliance.image_signatures.states import Found
from appliance.settings.image_policy import read_rules
from bundles.errors import UsageError
from tests.image_signatures.signer import AT, PROVENANCE, Image, certify, jws, pins
from tests.image_signatures.test_policy import ANNA, found, rule


def below(*roots: tuple[str, list[str]]) -> Found:
    """An image that signers below roots have signed: each root by its owner, with its signers' names."""
    image, records = Image(), []
    for owner, names in roots:
        root = certify(f"root of {owner}", ca=True)
        records.append(replace(pins(root.pinned).roots[0], owner=owner))
        for name in names:
            image.notation(jws(certify(name, root), image.target()))
    return found(image, replace(pins(), roots=tuple(records)))


def test_signers_below_one_root_are_people_where_the_rule_names_them() -> None:
    named = {"identities": ["CN=anna", "CN=boris"], "people": 2}
    assert objection(rule(**named), below(("PKI", ["anna", "boris"])), AT) is None
    assert objection(rule(**named), below(("PKI", ["anna", "anna"])), AT) == "signed by 1 of 2 that count"
    assert objection(rule(**named), below(("PKI", ["anna", "carla"])), AT) == "signed by 1 of 2 that count"
    assert objection(rule(people=2), below(("PKI", ["anna", "boris"])), AT) == "signed by 1 of 2 that count"
    alike = rule(identities=["CN=anna", "CN=ANNA"], people=2)
    assert objection(alike, below(("PKI", ["anna", "ANNA"])), AT) == "signed by 1 of 2 that count"
    assert objection(rule(owners=["PKI"], **named), below(("PKI", ["anna"]), ("PK1", ["boris"])), AT) is not None


@pytest.mark.parametrize(
    "asked",
    ["people = 2\nowners = ['a']", "people = 2\nowners = ['Anna', 'ANNA']", "people = 3\nkeys = ['%s']" % ("0" * 16),
     "people = 3\nowners = ['a']\nidentities = ['CN=a', 'CN=b']"],
)  # fmt: skip
def test_a_rule_that_can_never_hold_is_refused_when_it_is_checked(tmp_path: Path, asked: str) -> None:
    (tmp_path / "policy.toml").write_text(f"[[image]]\nrepositories = ['a']\n{asked}")
    with pytest.raises(UsageError, match=r"rule 1: people is"):
        read_rules(tmp_path / "policy.toml")


VSA = "https://slsa.dev/verification_summary/v1"


def summary(image: Image, kind: str = VSA, **said: Any) -> str:
    """The refusal of a verification summary, "" where it counts and satisfies a rule."""
    image.bundle_by(ANNA)
    image.bundle_by(ANNA, {**image.statement(kind), "predicate": said})
    known = pins(ANNA.public)
    last = image.verdicts(known)[-1]
    satisfied = objection(rule(attestations=[kind]), found(image, known), AT) is None
    assert satisfied is last.verified
    return "" if last.refusal is None else last.refusal.value


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"verificationResult": "PASSED"}, ""), ({"verificationResult": "FAILED"}, "not-passed"),
        ({"verificationResult": "passed"}, "not-passed"), ({"verificationResult": "PASSED "}, "not-passed"),
        ({"verificationResult": ""}, "not-passed"), ({}, "not-passed"), ({"verificationResult": True}, "malformed"),
        ({"verificationResult": ["PASSED"]}, "malformed"), ({"verificationResult": None}, "malformed"),
        ({"verificationresult": "FAILED", "verificationResult": "PASSED"}, "malformed"),
        ({"verification_result": "FAILED", "verificationResult": "PASSED"}, "not-passed"),
        ({"verificationResult": "PASSED", "resourceUri": 1}, "malformed"),
    ],
)  # fmt: skip
def test_a_verification_summary_counts_where_it_says_passed(said: dict[str, Any], code: str) -> None:
    assert summary(Image(), **said) == code


@pytest.mark.parametrize("predicate", [None, [], "PASSED", 1])
def test_a_verification_summary_that_is_no_object_counts_not(predicate: Any) -> None:
    image = Image()
    image.bundle_by(ANNA, {**image.statement(VSA), "predicate": predicate})
    assert image.refusal(pins(ANNA.public)) == "malformed"


def test_a_verification_summary_of_an_earlier_version_says_so_by_its_own_field() -> None:
    earlier = "https://slsa.dev/verification_summary/v0.2"
    assert summary(Image(), earlier, verification_result="PASSED") == ""
    assert summary(Image(), earlier, verification_result="FAILED") == "not-passed"


@pytest.mark.parametrize(
    "uri",
    ["registry.example/team/app@sha256:{}", "pkg:oci/app@sha256%3A{}?repository_url=x", "pkg:oci/app@sha256%253A{}",
     "https://x.example/?of=sha256-{}"],
)  # fmt: skip
def test_a_digest_in_the_resource_of_a_verification_summary_is_the_subjects(uri: str) -> None:
    image, other = Image(), Image(text="another")
    mine, theirs = uri.format(image.subject.digest.hex), uri.format(other.subject.digest.hex)
    assert summary(Image(), verificationResult="PASSED", resourceUri=mine) == ""
    assert summary(Image(), verificationResult="PASSED", resourceUri=theirs) == "other-subject"
    assert summary(Image(), verificationResult="PASSED", resourceUri=theirs.upper()) == "other-subject"
    assert summary(Image(), verificationResult="PASSED", resourceUri=f"{mine}&{theirs}") == "other-subject"
    assert summary(Image(), verificationResult="PASSED", resourceUri="registry.example/team/app:1") == ""


def test_what_a_rule_asks_for_says_which_content_is_looked_at() -> None:
    assert "its content is not looked at" in asks(rule(attestations=[PROVENANCE]))
    said = asks(rule(attestations=[VSA]))
    assert (VSA in said, "PASSED" in said, "not looked at" in said) == (True, True, False)
