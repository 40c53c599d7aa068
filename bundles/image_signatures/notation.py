"""What Notation's two envelopes have in common (Notary Project: signature-specification.md).

One chain of certificates, from the signer's to a root that is pinned here; one algorithm a key; a payload that names
the image. The time that counts is the verifier's: `signingTime` is the signer's own word, and no time-stamping
authority is asked. Certificates are not looked up in revocation lists; a pinned root that is revoked ends everything
below it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bundles import limits
from bundles.image_signatures.encoding import closed, read_object, texts
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Proof, Refusal, Subject, refused
from bundles.oci.digest import Digest
from bundles.signing import certificates
from bundles.signing.trust import TrustRecord

ARTIFACT_TYPE: Final = "application/vnd.cncf.notary.signature"
PAYLOAD_TYPE: Final = "application/vnd.cncf.notary.payload.v1+json"
SCHEME: Final = "io.cncf.notary.signingScheme"
TIME: Final = "io.cncf.notary.signingTime"
EXPIRY: Final = "io.cncf.notary.expiry"
_TARGET: Final = frozenset({"mediaType", "digest", "size"})


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How a key signs: its name in JWS, its number in COSE (RFC 9053), the hash, the bytes of r and of s (0: RSA)."""

    name: str
    number: int
    hashed: hashes.HashAlgorithm
    length: int = 0


_RSA: Final = {
    2048: Algorithm("PS256", -37, hashes.SHA256()),
    3072: Algorithm("PS384", -38, hashes.SHA384()),
    4096: Algorithm("PS512", -39, hashes.SHA512()),
}
_EC: Final = {
    "secp256r1": Algorithm("ES256", -7, hashes.SHA256(), 32),
    "secp384r1": Algorithm("ES384", -35, hashes.SHA384(), 48),
    "secp521r1": Algorithm("ES512", -36, hashes.SHA512(), 66),
}
"""The one algorithm of each key (signature-specification.md, Algorithm Selection)."""


@dataclass(frozen=True, slots=True)
class ProtectedHeader:
    """What an envelope's protected header says: the algorithm in the envelope's own words, the payload's type, the
    scheme, the critical fields, the names of all fields, and times as text ("" for no expiry)."""

    algorithm: Any
    content_type: Any
    scheme: Any
    critical: Any
    names: Collection[Any]
    signed_at: str
    expiry: str


def prove(
    said: ProtectedHeader,
    encoded: Sequence[bytes],
    signed: bytes,
    signature: bytes,
    payload: bytes,
    subject: Subject,
    pins: Pins,
) -> Proof:
    """That the envelope holds: `encoded` is the chain in DER, `signed` the bytes that were signed.

    Raises MalformedError, RefusedError, PinError.
    """
    chain, record = _chain(encoded, pins)
    _check_signature(chain[0], said.algorithm, signed, signature)
    _check_said(said, pins.at)
    return Proof(
        record=record,
        signed=Digest.of(signed),
        identity=certificates.name_of(chain[0]),
        signed_at=said.signed_at,
        annotations=_target(payload, subject),
    )


def _chain(encoded: Sequence[bytes], pins: Pins) -> tuple[list[x509.Certificate], TrustRecord]:
    """The certificates from the signer's to the pinned root, each issued by the next, fit and valid; and the root's
    record."""
    if not encoded:
        raise refused(Refusal.MALFORMED, "the envelope has no chain of certificates")
    if len(encoded) > limits.CERTIFICATE_CHAIN:
        raise refused(Refusal.TOO_MANY, "the chain has too many certificates", str(len(encoded)))
    chain = [certificates.load(der) for der in encoded]
    record = pins.root(encoded[-1])
    at = datetime.fromisoformat(pins.at)
    for certificate, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        certificates.check_issued(certificate, issuer)
        certificates.check_valid(certificate, at)
    certificates.check_leaf(chain[0])
    for below, authority in enumerate(chain[1:]):
        certificates.check_ca(authority, below)
    return chain, record


def algorithm_of(key: object) -> Algorithm | None:
    """The one algorithm of a public key, None for one that Notation does not sign by."""
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA.get(key.key_size)
    return _EC.get(key.curve.name) if isinstance(key, ec.EllipticCurvePublicKey) else None


def _check_signature(leaf: x509.Certificate, said: Any, signed: bytes, signature: bytes) -> None:
    """That the leaf's key made it, by the one algorithm that this key has. Raises RefusedError."""
    key = leaf.public_key()
    algorithm = algorithm_of(key)
    if algorithm is None:
        raise refused(Refusal.WEAK_KEY, "the signer's key is none that Notation signs by")
    _check_algorithm(said, algorithm)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            salted = padding.PSS(padding.MGF1(algorithm.hashed), padding.PSS.DIGEST_LENGTH)
            key.verify(signature, signed, salted, algorithm.hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_as_der(signature, algorithm.length), signed, ec.ECDSA(algorithm.hashed))
    except InvalidSignature:
        raise refused(Refusal.WRONG_SIGNATURE, "the certificate's key did not make the signature") from None


def _as_der(signature: bytes, length: int) -> bytes:
    """An ECDSA signature of JWS and COSE (r and s, `length` bytes each: RFC 7518, section 3.4; RFC 9053, section 2.1)
    as the library takes it."""
    if len(signature) != 2 * length:
        raise refused(Refusal.WRONG_SIGNATURE, "the signature is not as long as the key's are", str(len(signature)))
    halves = (signature[:length], signature[length:])
    return encode_dss_signature(*(int.from_bytes(half, "big") for half in halves))


def _check_algorithm(said: Any, algorithm: Algorithm) -> None:
    if said not in (algorithm.name, algorithm.number):
        raise refused(
            Refusal.WRONG_ALGORITHM,
            f"the signer's key signs by {algorithm.name}, the envelope says otherwise",
            repr(said)[:60],
        )


def _check_said(said: ProtectedHeader, at: str) -> None:
    """The signed header: its type, scheme, expiry, and nothing critical that nobody here knows."""
    if said.content_type != PAYLOAD_TYPE:
        raise refused(Refusal.WRONG_TYPE, "the envelope holds no payload of Notation", repr(said.content_type)[:120])
    needed = {SCHEME, *({EXPIRY} if said.expiry else ())}
    if not isinstance(said.critical, list) or any(not isinstance(one, (int, str)) for one in said.critical):
        raise refused(Refusal.MALFORMED, "the envelope names no critical fields")
    critical = set(said.critical)
    if len(critical) != len(said.critical) or not needed <= critical <= set(said.names):
        raise refused(Refusal.MALFORMED, "the envelope's critical fields are not those that must be")
    if unknown := sorted(critical - needed, key=str):
        what = "the envelope has a critical field that nobody here knows"
        raise refused(Refusal.UNSUPPORTED, what, ascii(unknown[0])[:120])
    if said.scheme != "notary.x509":
        raise refused(Refusal.UNSUPPORTED, "another signing scheme than notary.x509", repr(said.scheme)[:120])
    if said.expiry and at > said.expiry:
        raise refused(Refusal.SIGNATURE_EXPIRED, f"the signature expired at {said.expiry}")


def _target(payload: bytes, subject: Subject) -> dict[str, str]:
    """The annotations of the payload's target, which is the image by digest, media type and size."""
    whole = frozenset({"targetArtifact"})
    fields = closed(read_object(payload, whole, "the payload"), whole, frozenset(), "the payload")
    target = closed(fields["targetArtifact"], _TARGET, frozenset({"annotations"}), "targetArtifact")
    said = (target["mediaType"], target["digest"], target["size"])
    if said != (subject.media_type, str(subject.digest), len(subject.raw)) or isinstance(target["size"], bool):
        raise refused(Refusal.OTHER_SUBJECT, "the signature is of another image, or gives it another type or size")
    return texts(target.get("annotations"), "annotations")
