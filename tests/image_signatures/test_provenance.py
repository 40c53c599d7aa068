"""What a statement tells of when, by whom and of what an image was built, and rules that ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.image_signatures.rules import asks, objection
from appliance.settings.image_policy import ImagePolicy, PolicyRules, check_rules, decode, encode
from bundles.errors import UsageError
from bundles.image_signatures.provenance import Provenance, provenance_of
from tests.image_signatures.signer import AT, PROVENANCE, Image, certify, jws, pins
from tests.image_signatures.test_policy import ANNA, BORIS, found, rule

EARLIER = "https://slsa.dev/provenance/v0.2"
BUILDER = "https://builds.example/runner@v1"
SOURCE = "https://git.example/team/app"
YOUNG, OLD, AHEAD = "2026-11-20T08:00:00Z", "2026-10-20T08:00:00Z", "2026-11-29T12:06:00Z"
"""Nine days before AT, forty, and six minutes behind it."""


def v1(builder: Any = BUILDER, source: Any = SOURCE, at: Any = YOUNG, **parameters: Any) -> dict[str, Any]:
    """The predicate of a provenance, version 1."""
    given = parameters or {"workflow": {"repository": source, "ref": "refs/heads/main"}}
    run = {"builder": {"id": builder}, "metadata": {"finishedOn": at}}
    return {"buildDefinition": {"buildType": "x", "externalParameters": given}, "runDetails": run}


def v02(builder: Any = BUILDER, uri: Any = f"git+{SOURCE}@refs/heads/main", at: Any = YOUNG) -> dict[str, Any]:
    """The predicate of a provenance, version 0.2."""
    said = {"builder": {"id": builder}, "invocation": {"configSource": {"uri": uri}}}
    return {**said, "metadata": {"buildFinishedOn": at}}


def built(predicate: Any, kind: str = PROVENANCE, by: Any = ANNA) -> Image:
    """An image that Anna signed, with a provenance."""
    image = Image()
    image.bundle_by(ANNA)
    image.bundle_by(by, {**image.statement(kind), "predicate": predicate})
    return image


def satisfies(image: Image, *known: Any, **asked: Any) -> bool:
    return objection(rule(**asked), found(image, pins(*(known or (ANNA.public,)))), AT) is None


@pytest.mark.parametrize(("kind", "predicate"), [(PROVENANCE, v1()), (EARLIER, v02())])
def test_builder_sources_and_time_are_read_where_each_version_has_them(kind: str, predicate: Any) -> None:
    assert provenance_of(kind, predicate) == Provenance(YOUNG, BUILDER, (SOURCE,))


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-11-20T08:00:00.123456789Z", YOUNG), ("2026-11-20T10:30:00+02:30", YOUNG), ("2026-11-20", ""),
        ("2026-11-20T08:00:00", ""), ("2026-02-30T08:00:00Z", ""), ("٢026-11-20T08:00:00Z", ""), (7, ""), (None, ""),
        ("0001-01-01T00:00:00+23:59", ""), ("2026-11-20T08:00:00Z ", ""), ("9" * 5000, ""),
    ],
)  # fmt: skip
def test_times_are_those_of_rfc_3339_in_utc(written: Any, at: str) -> None:
    assert provenance_of(PROVENANCE, v1(at=written)).at == at


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        (f"git+{SOURCE}@refs/tags/v1", SOURCE), (f"{SOURCE}#refs/heads/main", SOURCE), (f"{SOURCE}@{'a' * 40}", SOURCE),
        (f"{SOURCE}.git#main:sub", f"{SOURCE}.git"), (SOURCE, SOURCE),
        ("https://git.example@evil.example/team/app", "https://git.example@evil.example/team/app"),
    ],
)  # fmt: skip
def test_a_source_is_a_repository_without_its_revision(uri: str, source: str) -> None:
    assert provenance_of(EARLIER, v02(uri=uri)).sources == (source,)


@pytest.mark.parametrize(
    "predicate", [None, [], "x", 1, {}, {"builder": []}, v1(builder=["x"], source={"a": 1}, at=[])]
)
def test_what_is_not_as_it_should_be_is_as_if_it_were_not_there(predicate: Any) -> None:
    assert provenance_of(PROVENANCE, predicate) == Provenance()
    assert not satisfies(built(predicate), builders=[BUILDER])
    assert satisfies(built(predicate), attestations=[PROVENANCE])


@pytest.mark.parametrize("kind", [PROVENANCE, EARLIER])
def test_a_rule_names_builders_and_sources(kind: str) -> None:
    image = built(v1() if kind == PROVENANCE else v02(), kind)
    assert satisfies(image, builders=[BUILDER], sources=["https://other.example/x", SOURCE])
    assert not satisfies(image, builders=[f"{BUILDER}1"])
    assert not satisfies(image, builders=[BUILDER], sources=[f"{SOURCE}-fork"])
    assert not satisfies(image, sources=[SOURCE.upper()])


def test_one_provenance_must_say_both_and_be_of_one_who_counts() -> None:
    image = built(v1(source="https://evil.example/x"))
    image.bundle_by(ANNA, {**image.statement(PROVENANCE), "predicate": v1(builder="https://evil.example/b")})
    assert satisfies(image, builders=[BUILDER])
    assert satisfies(image, sources=[SOURCE])
    assert not satisfies(image, builders=[BUILDER], sources=[SOURCE])
    by_boris = built(v1(), by=BORIS)
    assert not satisfies(by_boris, builders=[BUILDER])
    assert satisfies(by_boris, ANNA.public, BORIS.public, builders=[BUILDER])
    assert not satisfies(by_boris, ANNA.public, BORIS.public, builders=[BUILDER], owners=["owner 1"])


def test_each_source_that_a_provenance_names_must_be_one_of_the_rules() -> None:
    both = {"workflow": {"repository": SOURCE}, "configSource": {"uri": "https://evil.example/x"}}
    assert not satisfies(built(v1(**both)), sources=[SOURCE])
    assert satisfies(built(v1(**both)), sources=[SOURCE, "https://evil.example/x"])


def test_what_was_merely_used_is_no_source() -> None:
    predicate = v1(workflow={"ref": "x"})
    predicate["buildDefinition"]["resolvedDependencies"] = [{"uri": f"git+{SOURCE}@refs/heads/main"}]
    assert not satisfies(built(predicate), sources=[SOURCE])


@pytest.mark.parametrize(
    ("at", "days", "satisfied"),
    [(YOUNG, 10, True), (YOUNG, 9, False), (OLD, 30, False), (OLD, 0, True), (AHEAD, 10, False), ("", 10, False)],
)
def test_an_attestation_counts_for_so_many_days(at: str, days: int, satisfied: bool) -> None:
    image = built(v1(at=at))
    assert satisfies(image, attestations=[PROVENANCE], attested_days=days) is satisfied
    assert satisfies(image, builders=[BUILDER], attested_days=days) is satisfied


@pytest.mark.parametrize(("at", "satisfied"), [(YOUNG, True), (OLD, False), (AHEAD, False)])
def test_a_signature_counts_for_so_many_days_by_the_time_that_was_signed(at: str, satisfied: bool) -> None:
    image, signer = Image(), certify("signer", certify("root", ca=True))
    image.notation(jws(signer, image.target(), **{"io.cncf.notary.signingTime": at}))
    below = found(image, pins(signer.chain[-1].pinned))
    assert (objection(rule(signed_days=30), below, AT) is None) is satisfied


def test_a_signature_without_a_time_is_of_no_age() -> None:
    image = Image()
    image.bundle_by(ANNA)
    image.cosign_by(ANNA)
    assert satisfies(image)
    assert not satisfies(image, signed_days=3650)


def test_a_rule_that_asks_for_none_of_it_is_written_as_before() -> None:
    def written(**asked: Any) -> bytes:
        return encode(ImagePolicy.of(PolicyRules(image=[rule("team/**", **asked)]), "bravo", 1))

    before = (
        b'{"image":[{"annotations":{},"attestations":[],"children":"index","identities":[],"keys":[],'
        b'"mode":"enforce","owners":[],"people":1,"repositories":["team/**"]}],"number":1,"site":"bravo",'
    )
    assert written().startswith(before)
    for raw in (written(), written(builders=[BUILDER], sources=[SOURCE], signed_days=1, attested_days=2)):
        assert encode(decode(raw)) == raw


@pytest.mark.parametrize(
    "asked",
    [{"signed_days": -1}, {"attested_days": 3651}, {"builders": [""]}, {"sources": [f"git+{SOURCE}"]},
     {"sources": [f"{SOURCE}@refs/heads/main"]}, {"sources": [SOURCE, SOURCE]}],
)  # fmt: skip
def test_a_rule_that_nothing_could_satisfy_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        check_rules([rule(**asked)])


def test_what_is_asked_is_said() -> None:
    said = asks(rule(builders=[BUILDER], sources=[SOURCE], signed_days=7, attested_days=8, attestations=[PROVENANCE]))
    assert all(text in said for text in (BUILDER, SOURCE, "7 days", "8 days"))
    assert "not looked at" not in said
