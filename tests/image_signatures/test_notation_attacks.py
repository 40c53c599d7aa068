"""Notations that do not count are refused by name: envelopes, and the chains of certificates behind them."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundles.errors import MalformedError
from bundles.image_signatures.verdict import Refusal
from bundles.io.strict_json import canonical
from bundles.oci.manifest import DOCKER_MANIFEST
from bundles.signing.keys import PublicKey
from tests.image_signatures.signer import (
    Authority,
    Image,
    b64url,
    certify,
    jws,
    pins,
    revoked,
    usage,
)

Change = Callable[[Image], Any]
ROOT = certify("root", ca=True)


SIGNER = certify("signer", ROOT)


CRIT = ["io.cncf.notary.signingScheme"]


EXPIRY = "io.cncf.notary.expiry"


def below(root: Authority = ROOT, **changes: Any) -> Authority:
    return certify("signer", root, **changes)


def short(size: int) -> Authority:
    return certify("signer", ROOT, key=rsa.generate_private_key(65537, size))


_WEAK = short(1024)


def signed(change: Callable[[dict[str, Any]], Any]) -> Change:
    def attack(image: Image) -> None:
        document = jws(SIGNER, image.target())
        change(document)
        image.notation(document)

    return attack


def enveloped(signer: Authority = SIGNER, **protected: Any) -> Change:
    return lambda image: image.notation(jws(signer, image.target(), **protected))


def protected_twice(document: dict[str, Any]) -> None:
    raw = base64.urlsafe_b64decode(document["protected"] + "==")
    document["protected"] = b64url(raw.replace(b"{", b'{"alg":"ES256",', 1))


def when(year: int) -> datetime.datetime:
    return datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)


def authority(*extensions: tuple[x509.ExtensionType, bool]) -> Authority:
    """A signer below an authority with these extensions alone."""
    return certify("signer", certify("middle", ROOT, extensions=extensions))


def leaf(*extensions: tuple[x509.ExtensionType, bool]) -> Authority:
    return below(extensions=extensions)


_CA = (x509.BasicConstraints(ca=True, path_length=None), True)


_SIGNS = (usage(digital_signature=True), True)


_ISSUES = (usage(key_cert_sign=True), True)


def foreign(purpose: x509.ObjectIdentifier) -> Authority:
    return leaf(_SIGNS, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING, purpose]), False))


NOTATION: dict[str, tuple[Change, Refusal]] = {
    "another image": (
        lambda i: i.notation(jws(SIGNER, i.target(digest="sha256:" + "0" * 64))), Refusal.OTHER_SUBJECT,
    ),
    "another size": (lambda i: i.notation(jws(SIGNER, i.target(size=1))), Refusal.OTHER_SUBJECT),
    "another media type": (
        lambda i: i.notation(jws(SIGNER, i.target(mediaType=DOCKER_MANIFEST))), Refusal.OTHER_SUBJECT,
    ),
    "a target beside the target": (
        lambda i: i.notation(jws(SIGNER, {**i.target(), "more": {}})), Refusal.MALFORMED,
    ),
    "one byte of the payload": (signed(lambda d: d.update(payload=b64url(b"{}"))), Refusal.WRONG_SIGNATURE),
    "one byte of the signature": (
        signed(lambda d: d.update(signature=b64url(b"\1" + base64.urlsafe_b64decode(d["signature"] + "==")[1:]))),
        Refusal.WRONG_SIGNATURE,
    ),
    "a short signature": (signed(lambda d: d.update(signature=b64url(b"\1" * 63))), Refusal.WRONG_SIGNATURE),
    "a signature of zeros": (signed(lambda d: d.update(signature=b64url(b"\0" * 64))), Refusal.WRONG_SIGNATURE),
    "a stripped signature": (signed(lambda d: d.pop("signature")), Refusal.MALFORMED),
    "the general form of JWS": (
        signed(lambda d: d.update(signatures=[{"signature": d["signature"]}])), Refusal.MALFORMED,
    ),
    "padding in base64url": (signed(lambda d: d.update(payload=d["payload"] + "=")), Refusal.MALFORMED),
    "duplicate keys in the protected header": (signed(protected_twice), Refusal.MALFORMED),
    "no algorithm": (enveloped(drop=["alg"]), Refusal.WRONG_ALGORITHM),
    "algorithm none": (enveloped(alg="none"), Refusal.WRONG_ALGORITHM),
    "algorithm HS256, the key's bytes as the secret": (enveloped(alg="HS256"), Refusal.WRONG_ALGORITHM),
    "another curve's algorithm": (enveloped(alg="ES384"), Refusal.WRONG_ALGORITHM),
    "RSA's algorithm for a curve": (enveloped(alg="PS256"), Refusal.WRONG_ALGORITHM),
    "another payload type": (enveloped(cty="application/json"), Refusal.WRONG_TYPE),
    "another scheme": (
        enveloped(**{"io.cncf.notary.signingScheme": "notary.x509.signingAuthority"}), Refusal.UNSUPPORTED,
    ),
    "no critical fields": (enveloped(drop=["crit"]), Refusal.MALFORMED),
    "a critical field that nobody knows": (enveloped(crit=[*CRIT, "x"], x=1), Refusal.UNSUPPORTED),
    "a critical field that is not there": (enveloped(crit=[*CRIT, "x"]), Refusal.MALFORMED),
    "an expiry that is not critical": (enveloped(**{EXPIRY: "2027-01-01T00:00:00Z"}), Refusal.MALFORMED),
    "an expired signature": (
        enveloped(crit=[*CRIT, EXPIRY], **{EXPIRY: "2026-11-29T11:59:59Z"}), Refusal.SIGNATURE_EXPIRED,
    ),
    "a time that is none": (enveloped(**{"io.cncf.notary.signingTime": "yesterday"}), Refusal.MALFORMED),
    "no chain": (lambda i: i.notation(jws(SIGNER, i.target(), chain=[])), Refusal.MALFORMED),
    "a chain without its root": (lambda i: i.notation(jws(SIGNER, i.target(), chain=[SIGNER.der])),
                                 Refusal.UNKNOWN_ROOT),
    "another root": (enveloped(certify("signer", certify("root", ca=True))), Refusal.UNKNOWN_ROOT),
    "the pinned root behind a signer of another": (
        lambda i: i.notation(jws(
            certify("signer", certify("root", ca=True)), i.target(),
            chain=[certify("signer", certify("root", ca=True)).der, ROOT.der],
        )),
        Refusal.CHAIN_BROKEN,
    ),
    "an issuer of another name": (enveloped(certify("signer", ROOT, issuer="rooot")), Refusal.CHAIN_BROKEN),
    "a signer as its own authority": (enveloped(certify("second", SIGNER)), Refusal.CERTIFICATE_UNFIT),
    "an authority's certificate as the signer": (enveloped(ROOT), Refusal.CERTIFICATE_UNFIT),
    "an expired signer": (enveloped(below(start=when(2024), end=when(2025))), Refusal.CERTIFICATE_EXPIRED),
    "a signer of the future": (enveloped(below(start=when(2027), end=when(2028))), Refusal.CERTIFICATE_EARLY),
    "an expired authority": (
        enveloped(certify("signer", certify("middle", ROOT, ca=True, start=when(2024), end=when(2025)))),
        Refusal.CERTIFICATE_EXPIRED,
    ),
    "an authority without key usage": (enveloped(authority(_CA)), Refusal.CERTIFICATE_UNFIT),
    "an authority that may not issue": (enveloped(authority(_CA, _SIGNS)), Refusal.CERTIFICATE_UNFIT),
    "an authority whose key usage is not critical": (
        enveloped(authority(_CA, (_ISSUES[0], False))), Refusal.CERTIFICATE_UNFIT,
    ),
    "an authority without basic constraints": (enveloped(authority(_ISSUES)), Refusal.CERTIFICATE_UNFIT),
    "an authority whose constraints are not critical": (
        enveloped(authority((_CA[0], False), _ISSUES)), Refusal.CERTIFICATE_UNFIT,
    ),
    "more authorities than one allows": (
        enveloped(certify("signer", certify("lower", certify("middle", ROOT, ca=True, length=0), ca=True))),
        Refusal.CERTIFICATE_UNFIT,
    ),
    "an authority with a critical extension that nobody checks": (
        enveloped(authority(_CA, _ISSUES, (
            x509.NameConstraints([x509.DNSName("example.test")], None), True,
        ))),
        Refusal.CERTIFICATE_UNFIT,
    ),
    "a signer without key usage": (enveloped(leaf()), Refusal.CERTIFICATE_UNFIT),
    "a signer whose key usage is not critical": (enveloped(leaf((_SIGNS[0], False))), Refusal.CERTIFICATE_UNFIT),
    "a signer that may encipher, too": (
        enveloped(leaf((usage(digital_signature=True, key_encipherment=True), True))), Refusal.CERTIFICATE_UNFIT,
    ),
    "a server's certificate": (enveloped(foreign(ExtendedKeyUsageOID.SERVER_AUTH)), Refusal.CERTIFICATE_UNFIT),
    "a certificate for any usage": (
        enveloped(foreign(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)), Refusal.CERTIFICATE_UNFIT,
    ),
    "RSA of 1024 bits": (enveloped(_WEAK), Refusal.WEAK_KEY),
    "an authority with RSA of 1024 bits": (
        enveloped(certify("signer", certify("middle", ROOT, ca=True, key=_WEAK.key))), Refusal.WEAK_KEY,
    ),
    "a small curve": (enveloped(below(key=ec.generate_private_key(ec.SECP224R1()))), Refusal.WEAK_KEY),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTATION)
def test_what_does_not_count_of_notations_is_refused_by_name(name: str) -> None:
    attack, code = NOTATION[name]
    image = Image()
    attack(image)
    assert image.refusal(pins(ROOT.pinned)) == code


def test_a_revoked_root_ends_what_was_signed_below_it() -> None:
    image = Image()
    image.notation(jws(SIGNER, image.target()))
    assert image.refusal(revoked(ROOT.pinned)) == "key-revoked"
    assert image.refusal(pins(ROOT.pinned, not_after="2026-11-29T11:59:59Z")) == "key-not-valid"


def test_a_second_envelope_in_a_manifest_is_not_looked_at() -> None:
    image = Image()
    raw = json.dumps(jws(SIGNER, image.target())).encode()
    image.carry("application/jose+json", raw, raw + b" ", artifact_type="application/vnd.cncf.notary.signature")
    assert {one.refusal for one in image.verdicts(pins(ROOT.pinned))} == {"too-many"}


def test_a_pinned_root_signs_no_image_itself() -> None:
    """A key in a certificate that is pinned as a root makes no bare signature that counts."""
    image, alone = Image(), certify("alone")
    raw = canonical(image.payload())
    assert isinstance(alone.key, ec.EllipticCurvePrivateKey)
    image.cosign((raw, alone.key.sign(raw, ec.ECDSA(hashes.SHA256()))))
    assert image.refusal(pins(alone.pinned)) == "unknown-key"


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda: certify("weak", ca=True, key=rsa.generate_private_key(65537, 1024)), "weak-key"),
        (lambda: certify("below", ROOT, ca=True), "chain-broken"),
        (lambda: certify("no usage", extensions=[_CA]), "certificate-unfit"),
        (lambda: certify("a server", extensions=[
            _SIGNS, (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)]), "certificate-unfit"),
    ],
)  # fmt: skip
def test_a_root_that_no_chain_may_end_in_is_not_pinned(made: Callable[[], Authority], code: str) -> None:
    with pytest.raises(MalformedError) as caught:
        PublicKey.from_pem(made().pem)
    assert caught.value.code == code


def test_a_root_file_holds_one_certificate_alone() -> None:
    for pem in (ROOT.pem + ROOT.pem, ROOT.pem + b"more\n", b"-----BEGIN CERTIFICATE-----\n"):
        with pytest.raises(MalformedError):
            PublicKey.from_pem(pem)
    assert PublicKey.from_pem(ROOT.pem).to_pem() == ROOT.pem
