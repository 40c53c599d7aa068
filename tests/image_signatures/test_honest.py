"""What an honest signer makes is verified, by the key that made it, in every format and by every kind of key."""

from __future__ import annotations

import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bundles.image_signatures.verdict import Claim
from bundles.signing.keys import PrivateKey, PublicKey, create_private
from bundles.signing.signatures import ALGORITHMS
from tests.image_signatures.signer import (
    AT,
    PROVENANCE,
    Authority,
    Image,
    b64,
    bundle_of,
    certify,
    envelope_of,
    jws,
    pins,
)


@pytest.fixture(scope="module", params=ALGORITHMS)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return create_private(request.param)


@pytest.fixture(scope="module")
def other() -> PrivateKey:
    return create_private()


def test_a_bare_key_signs_in_each_of_cosigns_formats(key: PrivateKey, other: PrivateKey) -> None:
    image = Image()
    image.cosign_by(key)
    image.bundle_by(key)
    image.bundle_by(key, image.statement(PROVENANCE))
    digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(image.subject.raw).digest())}
    image.bundle(bundle_of(messageSignature={"messageDigest": digest, "signature": b64(key.sign(image.subject.raw))}))
    found = image.verdicts(pins(other.public, key.public))
    assert [one.refusal for one in found] == [None] * 4
    assert {one.owner for one in found} == {"owner 2"}
    assert [one.claim for one in found] == [Claim.SIGNATURE, Claim.SIGNATURE, Claim.ATTESTATION, Claim.SIGNATURE]


def test_an_rsa_key_is_verified_too() -> None:
    made, image = rsa.generate_private_key(65537, 2048), Image()
    raw = b'{"critical":{"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"}}'
    payload = raw.replace(b"%s", str(image.subject.digest).encode())
    image.cosign((payload, made.sign(payload, padding.PKCS1v15(), hashes.SHA256())))
    assert image.verdict(pins(PublicKey.of(made.public_key()))).verified


def test_an_envelope_has_a_verdict_for_each_of_its_signers(other: PrivateKey) -> None:
    first, second, image = create_private(), create_private(), Image()
    envelope = envelope_of(image.statement(PROVENANCE), first, other, second)
    image.carry("application/vnd.dsse.envelope.v1+json", json.dumps(envelope).encode(), tag="x.att")
    found = image.verdicts(pins(first.public, second.public))
    assert [(one.owner, one.refusal) for one in found] == [
        ("owner 1", None), ("", "unknown-key"), ("owner 2", None),
    ]  # fmt: skip


def test_a_statement_may_be_about_several_images(other: PrivateKey) -> None:
    image, elsewhere = Image(), {"name": "another", "digest": {"sha256": "0" * 64}}
    ours = {"digest": {"sha256": image.subject.digest.hex, "gitCommit": "0" * 40}}
    image.bundle_by(other, image.statement(PROVENANCE, subject=[elsewhere, ours, elsewhere]))
    assert image.verdict(pins(other.public)).verified


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_a_notation_signature_holds_below_its_pinned_root(curve: ec.EllipticCurve) -> None:
    image, root = Image(), certify("root", ca=True)
    middle = certify("middle", root, ca=True, length=0)
    signer = certify("signer", middle, key=ec.generate_private_key(curve))
    image.notation(jws(signer, image.target(annotations={"team": "alpha"})))
    verdict = image.verdict(pins(certify("another", ca=True).pinned, root.pinned))
    assert (verdict.refusal, verdict.owner, verdict.identity) == (None, "owner 2", "CN=signer")
    assert verdict.annotations == {"team": "alpha"}


def test_a_self_signed_signer_may_be_pinned_itself() -> None:
    image, signer = Image(), certify("alone")
    image.notation(jws(signer, image.target()))
    assert image.verdict(pins(signer.pinned)).identity == "CN=alone"


def test_an_expiry_that_is_still_to_come_is_no_objection() -> None:
    image, signer = Image(), certify("alone")
    crit = ["io.cncf.notary.signingScheme", "io.cncf.notary.expiry"]
    image.notation(jws(signer, image.target(), crit=crit, **{"io.cncf.notary.expiry": AT}))
    assert image.verdict(pins(signer.pinned)).verified


def test_what_a_signer_says_of_the_repository_is_not_looked_at(other: PrivateKey) -> None:
    image = Image()
    image.cosign_by(other, identity={"docker-reference": "registry.example/somebody/elses"})
    assert image.verdict(pins(other.public)).verified


def test_urls_alphabet_is_as_good_in_an_envelope(other: PrivateKey) -> None:
    image = Image()
    envelope = envelope_of(image.statement(), other)
    envelope["payload"] = envelope["payload"].replace("+", "-").replace("/", "_")
    envelope["signatures"][0]["sig"] = envelope["signatures"][0]["sig"].replace("+", "-").replace("/", "_")
    image.bundle(bundle_of(dsseEnvelope=envelope))
    assert image.verdict(pins(other.public)).verified


def chain(length: int) -> Authority:
    """A signer below `length` authorities."""
    above = certify("root", ca=True)
    for number in range(length - 1):
        above = certify(f"authority {number}", above, ca=True)
    return certify("signer", above)


def test_a_chain_of_eight_certificates_is_looked_at_and_one_of_nine_is_not() -> None:
    for length, code in ((7, ""), (8, "too-many")):
        image, signer = Image(), chain(length)
        image.notation(jws(signer, image.target()))
        assert image.refusal(pins(signer.chain[-1].pinned)) == code
