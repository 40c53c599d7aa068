"""Sigstore bundles, version 0.3, signed by a plain public key (sigstore/protobuf-specs, sigstore_bundle.proto).

Cosign 3 writes them as referrers: a DSSE envelope with an in-toto statement, or a signature over the manifest's bytes.
Entries of a transparency log and times of time-stamping authorities are not looked at: what counts is the pinned key.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from bundles import limits
from bundles.image_signatures import dsse
from bundles.image_signatures.encoding import closed, read_object, standard
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Outcome, Proof, Refusal, Subject, refused
from bundles.oci.descriptor import Descriptor, exact_keys, expect_object
from bundles.oci.digest import Digest

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
FAMILY: Final = "application/vnd.dev.sigstore.bundle"
"""What media types of every version begin with."""
PREDICATE: Final = "dev.sigstore.bundle.predicateType"
"""The carrier's annotation that announces a predicate type; it is signed by nobody, and must agree."""
_REQUIRED: Final = frozenset({"mediaType", "verificationMaterial"})
_CONTENT: Final = frozenset({"dsseEnvelope", "messageSignature"})
_MATERIAL: Final = frozenset({"tlogEntries", "timestampVerificationData"})
_CERTIFICATES: Final = frozenset({"certificate", "x509CertificateChain"})
_HASHES: Final = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}


def verify(document: bytes, _: Descriptor, subject: Subject, pins: Pins) -> list[Outcome]:
    """The one signature of a bundle. Raises MalformedError, RefusedError."""
    known = _REQUIRED | _CONTENT
    fields = read_object(document, known, "the bundle", ceiling=limits.ATTESTATION)
    closed(fields, _REQUIRED, _CONTENT, "the bundle")
    if fields["mediaType"] != MEDIA_TYPE:
        raise refused(Refusal.UNSUPPORTED, "a Sigstore bundle of another version", repr(fields["mediaType"])[:120])
    material = expect_object(fields["verificationMaterial"], "verificationMaterial")
    if material.keys() & _CERTIFICATES:
        raise refused(Refusal.CERTIFICATE_BASED, "signed by a certificate of an authority that is not pinned here")
    closed(material, frozenset({"publicKey"}), _MATERIAL, "verificationMaterial")
    closed(material["publicKey"], frozenset(), frozenset({"hint"}), "publicKey")
    content = fields.keys() & _CONTENT
    if len(content) != 1:
        raise refused(Refusal.MALFORMED, "the bundle holds no signed content, or two")
    if "dsseEnvelope" in content:
        return _envelope(fields["dsseEnvelope"], subject, pins)
    return [_message(fields["messageSignature"], subject, pins)]


def _envelope(data: Any, subject: Subject, pins: Pins) -> list[Outcome]:
    envelope = exact_keys(expect_object(data, "dsseEnvelope"), dsse.FIELDS, "dsseEnvelope")
    signatures = envelope.get("signatures")
    if isinstance(signatures, list) and len(signatures) > 1:
        raise refused(Refusal.TOO_MANY, "a bundle's envelope has one signature", str(len(signatures)))
    return dsse.verify_fields(envelope, subject, pins)


def _message(data: Any, subject: Subject, pins: Pins) -> Proof:
    """A signature over the manifest itself: its bytes bind the digest, the media type and the size."""
    message = closed(data, frozenset({"messageDigest", "signature"}), frozenset(), "messageSignature")
    named = closed(message["messageDigest"], frozenset({"algorithm", "digest"}), frozenset(), "messageDigest")
    algorithm = _HASHES.get(named["algorithm"]) if isinstance(named["algorithm"], str) else None
    if algorithm is None:
        raise refused(Refusal.UNSUPPORTED, "the bundle names a hash that is not compared here")
    if standard(named["digest"], "messageDigest") != hashlib.new(algorithm, subject.raw).digest():
        raise refused(Refusal.OTHER_SUBJECT, "the signature is of another image")
    record = pins.signer(subject.raw, standard(message["signature"], "the signature"))
    return Proof(record=record, signed=Digest.of(subject.raw))
