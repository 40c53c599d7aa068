"""Signatures that cosign 3 and notation made are verified, each by the key that made it and as what it is."""

from __future__ import annotations

import pytest

from bundles.image_signatures.carriers import Carrier, verify_all
from bundles.image_signatures.verdict import Verdict
from bundles.signing.keys import create_private
from tests.image_signatures.signer import INDEX, Layout, pins

OTHER = create_private().public


def told(verdicts: list[Verdict]) -> list[tuple[str, str, str, str, str]]:
    return sorted(
        (one.format.value, one.claim.value, one.predicate, one.owner, one.refusal.value if one.refusal else "")
        for one in verdicts
    )


@pytest.fixture(scope="module")
def legacy() -> Layout:
    return Layout("legacy")


@pytest.fixture(scope="module")
def bundle() -> Layout:
    return Layout("bundle")


@pytest.fixture(scope="module")
def notation() -> Layout:
    return Layout("notation")


def test_cosigns_signature_and_attestation_below_tags_are_verified(legacy: Layout) -> None:
    found = legacy.verdicts(pins(OTHER, legacy.cosign))
    assert told(found) == [
        ("cosign", "signature", "", "owner 2", ""),
        ("dsse", "attestation", "cyclonedx", "owner 2", ""),
    ]
    (signature,) = [one for one in found if one.claim == "signature"]
    assert signature.annotations == {"team": "alpha"}
    assert signature.keyid == legacy.cosign.keyid
    assert signature.tag == f"sha256-{INDEX.hex}.sig"


def test_cosigns_bundles_are_verified_for_the_index_and_for_each_platform(bundle: Layout) -> None:
    known = pins(bundle.cosign)
    assert told(bundle.verdicts(known)) == [
        ("sigstore-bundle", "attestation", "slsa-provenance", "owner 1", ""),
        ("sigstore-bundle", "signature", "cosign-sign", "owner 1", ""),
    ]
    children = bundle.manifests[INDEX].manifests
    assert len(children) == 2
    for child in children:
        assert told(bundle.verdicts(known, child.digest)) == [
            ("sigstore-bundle", "signature", "cosign-sign", "owner 1", "")
        ]


def test_notations_envelopes_in_jws_and_in_cose_are_verified(notation: Layout) -> None:
    found = notation.verdicts(pins(notation.root))
    assert told(found) == [
        ("notation-cose", "signature", "", "owner 1", ""),
        ("notation-jws", "signature", "", "owner 1", ""),
    ]
    assert {one.identity for one in found} == {"CN=vectors.example,O=Notary,L=Seattle,ST=WA,C=US"}
    assert {one.signed_at for one in found} == {"2026-11-29T03:25:27Z"}
    assert {one.fingerprint for one in found} == {notation.root.fingerprint}


@pytest.mark.parametrize(
    ("at", "code"),
    [("2026-11-30T03:25:28Z", "certificate-expired"), ("2026-11-29T03:25:26Z", "certificate-not-yet-valid")],
)
def test_outside_the_day_of_its_certificate_notations_signature_counts_no_more(
    notation: Layout, at: str, code: str
) -> None:
    assert {one.refusal for one in notation.verdicts(pins(notation.root, at=at))} == {code}


def test_without_a_pinned_key_none_of_them_counts(legacy: Layout, bundle: Layout, notation: Layout) -> None:
    known = pins(OTHER)
    assert {one.refusal for one in legacy.verdicts(known) + bundle.verdicts(known)} == {"unknown-key"}
    assert {one.refusal for one in notation.verdicts(known)} == {"unknown-root"}


def test_a_key_that_is_pinned_for_something_else_verifies_no_image(legacy: Layout, bundle: Layout) -> None:
    for purpose in ("bundle", "release", "verdict"):
        known = pins(legacy.cosign, purposes=(purpose,), sites=("alpha",))
        assert {one.refusal for one in legacy.verdicts(known) + bundle.verdicts(known)} == {"unknown-key"}


def test_signatures_of_one_image_are_none_of_another(legacy: Layout, bundle: Layout) -> None:
    """The index's signatures, said to be of one of its platforms."""
    known, child = pins(bundle.cosign), bundle.manifests[INDEX].manifests[0].digest
    for layout in (legacy, bundle):
        moved = [Carrier(one.digest, one.manifest, "sha256-x.sig") for one in layout.carriers(INDEX)]
        found = verify_all(layout.subject(child), moved, layout.store, known)
        assert {one.refusal for one in found} == {"other-subject"}
