"""Signatures that do not count are refused by name. Each attack is the honest document with one thing changed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from bundles import limits
from bundles.errors import RefusedError
from bundles.image_signatures import cosign_legacy, dsse, sigstore_bundle
from bundles.image_signatures.carriers import Carrier, verify_all
from bundles.image_signatures.verdict import Refusal, Subject
from bundles.io.strict_json import canonical
from bundles.oci.manifest import DOCKER_MANIFEST
from bundles.signing.keys import PublicKey, create_private
from bundles.signing.signatures import _CURVES
from tests.image_signatures.signer import (
    PROVENANCE,
    Image,
    b64,
    bundle_of,
    envelope_of,
    pins,
    revoked,
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
