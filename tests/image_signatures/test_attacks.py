"""Signatures that do not count are refused by name. Each attack is the honest document with one thing changed."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundles import limits
from bundles.errors import MalformedError, RefusedError
from bundles.image_signatures import cosign_legacy, dsse, sigstore_bundle
from bundles.image_signatures.carriers import Carrier, verify_all
from bundles.image_signatures.verdict import Refusal, Subject
from bundles.io.strict_json import canonical
from bundles.oci.manifest import DOCKER_MANIFEST
from bundles.signing.keys import PublicKey, create_private
from bundles.signing.signatures import _CURVES
from tests.image_signatures.signer import (
    PROVENANCE,
    Authority,
    Image,
    b64,
    b64url,
    bundle_of,
    certify,
    envelope_of,
    jws,
    pins,
    revoked,
    usage,
)

KEY = create_private()
OTHER = create_private()
ED = create_private("ed25519")
KNOWN = pins(KEY.public, ED.public)
EMPTY = {"digest": {"sha256": "0" * 64}}
Change = Callable[[Image], Any]


def slack(text: str) -> str:
    """The same bytes with another last character before the padding: base64's unused bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = text.rstrip("=")
    assert body != text, "it has no unused bits"
    return body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + text[len(body) :]


def odd(sign: Callable[[], bytes]) -> bytes:
    """A signature whose base64 has unused bits."""
    return next(one for one in (sign() for _ in range(64)) if len(one) % 3)


def fresh(data: bytes) -> bytes:
    """A signature by `KEY` with a nonce of its own: another one each time."""
    signed = KEY._key
    assert isinstance(signed, ec.EllipticCurvePrivateKey)
    return signed.sign(data, ec.ECDSA(hashes.SHA256()))


def malleated(signature: bytes) -> bytes:
    """The other ECDSA signature of the same key over the same bytes: r and -s."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, _CURVES["ecdsa-p256"].order - s)


def cosign_raw(image: Image, raw: bytes, signature: str | None = None, **notes: str) -> None:
    said = b64(KEY.sign(raw)) if signature is None else signature
    note = {cosign_legacy.SIGNATURE: said, **notes}
    image.carry(cosign_legacy.MEDIA_TYPE, raw, tag=image.sig, annotations=[note])


def cosign_text(change: Callable[[str], str]) -> Change:
    return lambda image: cosign_raw(image, change(canonical(image.payload()).decode()).encode())


def cosign_slack(image: Image) -> None:
    raw = canonical(image.payload())
    cosign_raw(image, raw, slack(b64(odd(lambda: fresh(raw)))))


def bundled(change: Callable[[dict[str, Any]], Any], *, statement: Callable[[Image], Any] | None = None) -> Change:
    def attack(image: Image) -> None:
        said = image.statement() if statement is None else statement(image)
        document = bundle_of(dsseEnvelope=envelope_of(said, KEY))
        change(document)
        image.bundle(document)

    return attack


def stated(**changes: Any) -> Change:
    return lambda image: image.bundle_by(KEY, image.statement(**changes))


def message(image: Image, **changes: Any) -> None:
    digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(image.subject.raw).digest())}
    said = {"messageDigest": digest, "signature": b64(KEY.sign(image.subject.raw)), **changes}
    image.bundle(bundle_of(messageSignature=said))


def twice(image: Image) -> None:
    statement = json.dumps(image.statement()).replace('"_type"', '"predicateType":"x","_type"', 1)
    image.bundle(bundle_of(dsseEnvelope=envelope_of(statement.encode(), KEY)))


def both(document: dict[str, Any]) -> None:
    document["messageSignature"] = {"messageDigest": {"algorithm": "SHA2_256", "digest": ""}, "signature": ""}


def pre_hashed(image: Image) -> None:
    """Ed25519 over the hash of the message, as Ed25519ph's callers are wont to give it."""
    raw = canonical(image.payload())
    cosign_raw(image, raw, b64(ED.sign(hashlib.sha512(raw).digest())))


ATTACKS: dict[str, tuple[Change, Refusal]] = {
    # Cosign's simple signing.
    "cosign: another key": (lambda i: i.cosign_by(OTHER), Refusal.UNKNOWN_KEY),
    "cosign: one byte of the payload": (
        lambda i: cosign_raw(i, canonical(i.payload()) + b" ", b64(KEY.sign(canonical(i.payload())))),
        Refusal.UNKNOWN_KEY,
    ),
    "cosign: another image's digest": (
        lambda i: i.cosign_by(KEY, image={"docker-manifest-digest": "sha256:" + "0" * 64}), Refusal.OTHER_SUBJECT,
    ),
    "cosign: the digest in capitals": (
        lambda i: i.cosign_by(KEY, image={"docker-manifest-digest": str(i.subject.digest).upper()}),
        Refusal.OTHER_SUBJECT,
    ),
    "cosign: no digest": (lambda i: i.cosign_by(KEY, image={}), Refusal.OTHER_SUBJECT),
    "cosign: the digest in the reference alone": (
        lambda i: i.cosign_by(KEY, image={}, identity={"docker-reference": f"a/b@{i.subject.digest}"}),
        Refusal.OTHER_SUBJECT,
    ),
    "cosign: another type": (lambda i: i.cosign_by(KEY, type="atomic container signature"), Refusal.WRONG_TYPE),
    "cosign: a critical field that nobody knows": (lambda i: i.cosign_by(KEY, more={}), Refusal.MALFORMED),
    "cosign: duplicate keys": (
        cosign_text(lambda t: t.replace('"critical":', '"critical":{},"critical":', 1)), Refusal.MALFORMED,
    ),
    "cosign: a key in other letters beside it": (
        cosign_text(lambda t: t.replace('"critical":', '"Critical":{},"critical":', 1)), Refusal.MALFORMED,
    ),
    "cosign: not JSON": (lambda i: cosign_raw(i, b"{"), Refusal.MALFORMED),
    "cosign: slack in the signature's base64": (cosign_slack, Refusal.MALFORMED),
    "cosign: white space in the signature's base64": (
        lambda i: cosign_raw(i, b"{}", b64(KEY.sign(b"{}")) + "\n"), Refusal.MALFORMED,
    ),
    "cosign: no signature": (lambda i: cosign_raw(i, b"{}", ""), Refusal.NO_SIGNATURE),
    "cosign: no layer": (lambda i: i.carry(cosign_legacy.MEDIA_TYPE, tag=i.sig), Refusal.NO_SIGNATURE),
    "cosign: a certificate that is not pinned": (
        lambda i: cosign_raw(i, b"{}", b64(OTHER.sign(b"{}")), **{cosign_legacy.CERTIFICATE: "x"}),
        Refusal.CERTIFICATE_BASED,
    ),
    "cosign: an Ed25519 key over a hash": (pre_hashed, Refusal.UNKNOWN_KEY),
    "cosign: trailing bytes behind the DER": (
        lambda i: cosign_raw(i, canonical(i.payload()), b64(KEY.sign(canonical(i.payload())) + b"\0")),
        Refusal.UNKNOWN_KEY,
    ),
    # Sigstore bundles, DSSE and in-toto.
    "bundle: another key": (lambda i: i.bundle_by(OTHER), Refusal.UNKNOWN_KEY),
    "bundle: another image's statement": (stated(subject=[EMPTY]), Refusal.OTHER_SUBJECT),
    "bundle: no subject": (stated(subject=[]), Refusal.OTHER_SUBJECT),
    "bundle: a subject without a digest": (stated(subject=[{"name": "x"}]), Refusal.MALFORMED),
    "bundle: a subject by name": (
        lambda i: i.bundle_by(KEY, i.statement(subject=[{"name": str(i.subject.digest), **EMPTY}])),
        Refusal.OTHER_SUBJECT,
    ),
    "bundle: digests of two images in one subject": (
        lambda i: i.bundle_by(
            KEY, i.statement(subject=[{"digest": {"sha256": i.subject.digest.hex, "sha512": "0" * 128}}])
        ),
        Refusal.OTHER_SUBJECT,
    ),
    "bundle: another media type in the subject": (
        lambda i: i.bundle_by(
            KEY, i.statement(subject=[{"digest": {"sha256": i.subject.digest.hex}, "mediaType": DOCKER_MANIFEST}])
        ),
        Refusal.OTHER_SUBJECT,
    ),
    "bundle: endless subjects": (stated(subject=[EMPTY] * (limits.STATEMENT_SUBJECTS + 1)), Refusal.TOO_MANY),
    "bundle: endless digests": (
        lambda i: i.bundle_by(
            KEY,
            i.statement(subject=[{"digest": {f"a{n}": "" for n in range(limits.SUBJECT_DIGESTS + 1)}}]),
        ),
        Refusal.TOO_MANY,
    ),
    "bundle: no statement": (stated(_type="https://example.test/Statement/v1"), Refusal.WRONG_TYPE),
    "bundle: a statement of another version": (stated(_type="https://in-toto.io/Statement/v2"), Refusal.WRONG_TYPE),
    "bundle: no predicate type": (stated(predicateType=None), Refusal.MALFORMED),
    "bundle: another payload type": (
        lambda i: i.bundle(bundle_of(dsseEnvelope=envelope_of(i.statement(), KEY, kind="text/plain"))),
        Refusal.WRONG_TYPE,
    ),
    "bundle: a payload type that was not signed": (
        bundled(lambda d: d["dsseEnvelope"].update(payloadType="application/vnd.in-toto+json "), statement=None),
        Refusal.UNKNOWN_KEY,
    ),
    "bundle: a signature over the payload alone": (
        bundled(lambda d: d["dsseEnvelope"]["signatures"][0].update(
            sig=b64(KEY.sign(base64.b64decode(d["dsseEnvelope"]["payload"]))))),
        Refusal.UNKNOWN_KEY,
    ),
    "bundle: duplicate keys in the statement": (twice, Refusal.MALFORMED),
    "bundle: duplicate keys in the bundle": (
        lambda i: i.bundle(
            json.dumps(bundle_of(dsseEnvelope=envelope_of(i.statement(), KEY)))
            .replace('"dsseEnvelope"', '"dsseEnvelope":{},"dsseEnvelope"', 1).encode()
        ),
        Refusal.MALFORMED,
    ),
    "bundle: two kinds of content": (bundled(both), Refusal.MALFORMED),
    "bundle: no content": (lambda i: i.bundle(bundle_of()), Refusal.MALFORMED),
    "bundle: a field of its own": (bundled(lambda d: d.update(dsse_envelope={})), Refusal.MALFORMED),
    "bundle: two signatures": (
        lambda i: i.bundle(bundle_of(dsseEnvelope=envelope_of(i.statement(), KEY, KEY))), Refusal.TOO_MANY,
    ),
    "bundle: a stripped signature": (
        bundled(lambda d: d["dsseEnvelope"].update(signatures=[])), Refusal.NO_SIGNATURE,
    ),
    "bundle: slack in the payload's base64": (
        bundled(
            lambda d: d["dsseEnvelope"].update(payload=slack(d["dsseEnvelope"]["payload"])),
            statement=lambda i: next(
                raw for raw in (json.dumps(i.statement()).encode() + b" " * n for n in range(3)) if len(raw) % 3
            ),
        ),
        Refusal.MALFORMED,
    ),
    "bundle: another version": (
        bundled(lambda d: d.update(mediaType=sigstore_bundle.FAMILY + ".v0.4+json")), Refusal.UNSUPPORTED,
    ),
    "bundle: a certificate": (
        bundled(lambda d: d.update(verificationMaterial={"certificate": {"rawBytes": ""}})), Refusal.CERTIFICATE_BASED,
    ),
    "bundle: a certificate beside the key": (
        bundled(lambda d: d["verificationMaterial"].update(x509CertificateChain={"certificates": []})),
        Refusal.CERTIFICATE_BASED,
    ),
    "bundle: an announced predicate that was not signed": (
        lambda i: i.bundle_by(KEY, i.statement(), said={sigstore_bundle.PREDICATE: PROVENANCE}),
        Refusal.WRONG_PREDICATE,
    ),
    "bundle: a message's signature over other bytes": (
        lambda i: message(i, signature=b64(KEY.sign(b"other bytes"))), Refusal.UNKNOWN_KEY,
    ),
    "bundle: a message's digest of another image": (
        lambda i: message(i, messageDigest={"algorithm": "SHA2_256", "digest": b64(b"\0" * 32)}),
        Refusal.OTHER_SUBJECT,
    ),
    "bundle: a message's hash that nobody knows": (
        lambda i: message(i, messageDigest={"algorithm": "MD5", "digest": b64(b"\0" * 16)}), Refusal.UNSUPPORTED,
    ),
    # Carriers.
    "carrier: it refers to another image": (
        lambda i: i.bundle_by(KEY, subject={"mediaType": i.subject.media_type, "digest": "sha256:" + "0" * 64,
                                            "size": len(i.subject.raw)}),
        Refusal.OTHER_SUBJECT,
    ),
    "carrier: it gives the image another size": (
        lambda i: i.bundle_by(KEY, subject={"mediaType": i.subject.media_type, "digest": str(i.subject.digest),
                                            "size": 1}),
        Refusal.OTHER_SUBJECT,
    ),
    "carrier: it gives the image another media type": (
        lambda i: i.bundle_by(KEY, subject={"mediaType": DOCKER_MANIFEST, "digest": str(i.subject.digest),
                                            "size": len(i.subject.raw)}),
        Refusal.OTHER_SUBJECT,
    ),
    "carrier: a statement that nobody signed": (
        lambda i: i.carry("application/vnd.in-toto+json", canonical(i.statement(PROVENANCE))), Refusal.NO_SIGNATURE,
    ),
    "carrier: a format that nobody knows": (
        lambda i: i.carry("text/plain", b"signed, honestly", tag=i.sig), Refusal.UNSUPPORTED,
    ),
    "carrier: a document beyond what is looked at": (
        lambda i: cosign_raw(i, b" " * (limits.IMAGE_SIGNATURE + 1)), Refusal.TOO_LARGE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_does_not_count_is_refused_by_name(name: str) -> None:
    attack, code = ATTACKS[name]
    image = Image()
    attack(image)
    assert image.refusal(KNOWN) == code


def test_a_statement_of_another_kind_is_an_attestation_and_no_signature() -> None:
    for predicate in (PROVENANCE, "https://sigstore.dev/cosign/sign/v2", "https://sigstore.dev/cosign/sign/V1", ""):
        image = Image()
        image.bundle_by(KEY, image.statement(predicate))
        verdict = image.verdict(KNOWN)
        assert (verdict.refusal, verdict.claim) == (None, "attestation")


def test_a_predicate_has_the_name_of_exactly_its_type() -> None:
    for predicate, name in (
        ("https://spdx.dev/Document", "spdx"), ("https://spdx.dev/Document/", ""), ("https://SPDX.dev/Document", ""),
        ("https://slsa.dev/provenance/v1", "slsa-provenance"), ("https://slsa.dev/provenance/v1.1", ""),
    ):  # fmt: skip
        image = Image()
        image.bundle_by(KEY, image.statement(predicate))
        assert image.verdict(KNOWN).predicate == name


def test_a_revoked_key_is_named_and_counts_no_more() -> None:
    image = Image()
    image.cosign_by(KEY)
    verdict = image.verdict(revoked(KEY.public))
    assert (verdict.refusal, verdict.owner, verdict.keyid) == ("key-revoked", "owner 1", KEY.public.keyid)


@pytest.mark.parametrize("changes", [{"not_after": "2026-11-29T11:59:59Z"}, {"not_before": "2026-11-29T12:00:01Z"}])
def test_a_key_outside_the_time_it_is_pinned_for_counts_not(changes: dict[str, str]) -> None:
    image = Image()
    image.bundle_by(KEY)
    assert image.refusal(pins(KEY.public, **changes)) == "key-not-valid"


def test_a_doubled_signature_counts_once() -> None:
    """Twice by one key, also as the other signature that ECDSA has for the same bytes; and with another nonce."""
    image = Image()
    raw = canonical(image.payload())
    signature = KEY.sign(raw)
    image.cosign((raw, signature), (raw, malleated(signature)), (raw, fresh(raw)))
    assert [one.refusal for one in image.verdicts(KNOWN)] == [None, "doubled", "doubled"]
    envelope = envelope_of(image.statement(PROVENANCE), KEY, KEY)
    other = Image()
    other.carry(dsse.MEDIA_TYPE, json.dumps(envelope).encode(), tag="x.att")
    assert [one.refusal for one in other.verdicts(KNOWN)] == [None, "doubled"]


def test_of_endless_signatures_some_are_looked_at() -> None:
    image = Image()
    raw = canonical(image.payload())
    honest, many = KEY.sign(raw), limits.IMAGE_SIGNATURES + 8
    image.cosign(*((raw, OTHER.sign(raw)),) * many, (raw, honest))
    found = image.verdicts(KNOWN)
    assert len(found) == limits.IMAGE_SIGNATURES + 1
    assert found[-1].refusal == "too-many"
    assert not any(one.verified for one in found)


def test_of_endless_carriers_and_endless_envelopes_some_are_looked_at() -> None:
    image = Image()
    for number in range(limits.IMAGE_SIGNATURES + 8):
        image.bundle_by(OTHER, said={"number": str(number)})
    assert [one.refusal for one in image.verdicts(KNOWN)][-2:] == ["unknown-key", "too-many"]
    other = Image()
    envelope = envelope_of(other.statement(), *[OTHER] * limits.DSSE_SIGNATURES)
    for number in range(limits.IMAGE_SIGNATURES):
        other.carry(dsse.MEDIA_TYPE, json.dumps(envelope).encode(), tag=f"{number}.att")
    assert len(other.verdicts(KNOWN)) == limits.IMAGE_SIGNATURES + 1
    more = Image()
    envelope = envelope_of(more.statement(), *[KEY] * (limits.DSSE_SIGNATURES + 1))
    more.carry(dsse.MEDIA_TYPE, json.dumps(envelope).encode(), tag="x.att")
    assert more.refusal(KNOWN) == "too-many"


def test_documents_of_endless_bytes_are_not_all_read() -> None:
    image = Image()
    large = b" " * (limits.ATTESTATION - 1)
    for number in range(4):
        image.carry(dsse.MEDIA_TYPE, large + bytes([48 + number]), tag=f"{number}.att")
    assert [one.refusal for one in image.verdicts(KNOWN)] == ["malformed"] * 3 + ["too-many"]


def test_a_document_that_is_missing_or_altered_is_none() -> None:
    image = Image()
    carrier = image.cosign_by(KEY)
    (layer,) = carrier.manifest.layers
    raw = image.store.blobs.pop(layer.digest)
    assert image.refusal(KNOWN) == "missing"
    image.store.blobs[layer.digest] = raw + b" "
    assert image.refusal(KNOWN) == "altered"
    image.store.blobs[layer.digest] = raw[:-1] + b" "
    assert image.refusal(KNOWN) == "altered"
    image.store.blobs[layer.digest] = raw
    assert image.refusal(KNOWN) == ""


def test_a_manifest_that_is_not_its_digests_has_no_signatures() -> None:
    image = Image()
    with pytest.raises(RefusedError) as caught:
        Subject.of(image.subject.raw + b" ", image.subject.media_type, image.subject.digest)
    assert caught.value.code == "altered"


def test_a_signature_that_was_swapped_for_another_images_is_none() -> None:
    """A referrer of one image, listed for another: by its own `subject`, and by what was signed."""
    image, other = Image(), Image(text="another image")
    carrier = image.bundle_by(KEY)
    assert [one.refusal for one in verify_all(other.subject, [carrier], image.store, KNOWN)] == ["other-subject"]
    below = Carrier(carrier.digest, image.cosign_by(KEY).manifest, other.sig)
    assert [one.refusal for one in verify_all(other.subject, [below], image.store, KNOWN)] == ["other-subject"]


# Notation.

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


def test_an_ed25519ph_signature_is_none_of_an_ed25519_key() -> None:
    """RFC 8032, section 7.3: the vector of Ed25519ph for the message "abc"."""
    raw = bytes.fromhex("ec172b93ad5e563f4932c70e1245034c35467ef2efd4d64ebf819683467e2bf2")
    signature = bytes.fromhex(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )
    key = PublicKey.of(Ed25519PublicKey.from_public_bytes(raw))
    image = Image()
    image.cosign((b"abc", signature))
    assert image.refusal(pins(key)) == "unknown-key"
    assert not key.verify(hashlib.sha512(b"abc").digest(), signature)
