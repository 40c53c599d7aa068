"""Notation's signatures in JWS (Notary Project: signature-specification.md and signature-envelope-jws.md).

The flattened JSON form with one chain of certificates, from the signer's to a root that is pinned here. The time that
counts is the verifier's: `signingTime` is the signer's own word, and no time-stamping authority is asked. Certificates
are not looked up in revocation lists; a pinned root that is revoked ends everything below it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bundles import limits
from bundles.image_signatures.encoding import closed, read_object, standard, texts, url_safe
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Outcome, Proof, Refusal, Subject, refused
from bundles.io.times import check_time
from bundles.oci.descriptor import Descriptor, exact_keys, expect_object, expect_string
from bundles.oci.digest import Digest
from bundles.signing import certificates
from bundles.signing.trust import TrustRecord

MEDIA_TYPE: Final = "application/jose+json"
COSE_TYPE: Final = "application/cose"
ARTIFACT_TYPE: Final = "application/vnd.cncf.notary.signature"
PAYLOAD_TYPE: Final = "application/vnd.cncf.notary.payload.v1+json"
_SCHEME: Final = "io.cncf.notary.signingScheme"
_TIME: Final = "io.cncf.notary.signingTime"
_EXPIRY: Final = "io.cncf.notary.expiry"
_PROTECTED: Final = frozenset({"alg", "cty", "crit", _SCHEME, _TIME, _EXPIRY})
_TARGET: Final = frozenset({"mediaType", "digest", "size"})
_RSA: Final[dict[int, tuple[str, hashes.HashAlgorithm]]] = {
    2048: ("PS256", hashes.SHA256()), 3072: ("PS384", hashes.SHA384()), 4096: ("PS512", hashes.SHA512()),
}  # fmt: skip
_EC: Final[dict[str, tuple[str, hashes.HashAlgorithm, int]]] = {
    "secp256r1": ("ES256", hashes.SHA256(), 32),
    "secp384r1": ("ES384", hashes.SHA384(), 48),
    "secp521r1": ("ES512", hashes.SHA512(), 66),
}
"""The one algorithm of each key (signature-specification.md, Algorithm Selection); bytes of r and of s."""


def verify(document: bytes, _: Descriptor, subject: Subject, pins: Pins) -> list[Outcome]:
    """The one signature of an envelope. Raises MalformedError, RefusedError, PinError."""
    top = frozenset({"payload", "protected", "header", "signature"})
    fields = closed(read_object(document, top, "the envelope"), top, frozenset(), "the envelope")
    protected = read_object(url_safe(fields["protected"], "protected"), _PROTECTED, "protected")
    payload = url_safe(fields["payload"], "payload")
    chain, record = _chain(fields["header"], pins)
    signed = f"{fields['protected']}.{fields['payload']}".encode("ascii")
    _check_signature(chain[0], protected.get("alg"), signed, url_safe(fields["signature"], "signature"))
    _check_protected(protected, pins.at)
    return [
        Proof(
            record=record,
            signed=Digest.of(signed),
            identity=certificates.name_of(chain[0]),
            signed_at=check_time(expect_string(protected.get(_TIME), "signingTime"), "signingTime"),
            annotations=_target(payload, subject),
        )
    ]


def _chain(header: Any, pins: Pins) -> tuple[list[x509.Certificate], TrustRecord]:
    """The certificates from the signer's to the pinned root, each issued by the next, fit and valid; and the root's
    record."""
    unprotected = exact_keys(expect_object(header, "header"), frozenset({"x5c"}), "header")
    listed = unprotected.get("x5c")
    if not isinstance(listed, list) or not listed:
        raise refused(Refusal.MALFORMED, "the envelope has no chain of certificates")
    if len(listed) > limits.CERTIFICATE_CHAIN:
        raise refused(Refusal.TOO_MANY, "the chain has too many certificates", str(len(listed)))
    encoded = [standard(entry, "x5c") for entry in listed]
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


def _check_signature(leaf: x509.Certificate, said: Any, signed: bytes, signature: bytes) -> None:
    """That the leaf's key made it, by the one algorithm that this key has. Raises RefusedError."""
    key = leaf.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA:
            name, hashed = _RSA[key.key_size]
            _check_algorithm(said, name)
            salted = padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)
            key.verify(signature, signed, salted, hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _EC:
            name, hashed, length = _EC[key.curve.name]
            _check_algorithm(said, name)
            key.verify(_as_der(signature, length), signed, ec.ECDSA(hashed))
        else:
            raise refused(Refusal.WEAK_KEY, "the signer's key is none that Notation signs by")
    except InvalidSignature:
        raise refused(Refusal.WRONG_SIGNATURE, "the certificate's key did not make the signature") from None


def _as_der(signature: bytes, length: int) -> bytes:
    """An ECDSA signature of JWS (r and s, `length` bytes each: RFC 7518, section 3.4) as the library takes it."""
    if len(signature) != 2 * length:
        raise refused(Refusal.WRONG_SIGNATURE, "the signature is not as long as the key's are", str(len(signature)))
    halves = (signature[:length], signature[length:])
    return encode_dss_signature(*(int.from_bytes(half, "big") for half in halves))


def _check_algorithm(said: Any, name: str) -> None:
    if said != name:
        raise refused(Refusal.WRONG_ALGORITHM, f"the signer's key signs by {name}, the envelope says otherwise",
                      repr(said)[:60])  # fmt: skip


def _check_protected(protected: dict[str, Any], at: str) -> None:
    """The signed header: its type, scheme, expiry, and nothing critical that nobody here knows."""
    if protected.get("cty") != PAYLOAD_TYPE:
        raise refused(Refusal.WRONG_TYPE, "the envelope holds no payload of Notation", repr(protected.get("cty"))[:120])
    critical = protected.get("crit")
    needed = {_SCHEME, *({_EXPIRY} if _EXPIRY in protected else ())}
    if not isinstance(critical, list) or any(not isinstance(one, str) for one in critical):
        raise refused(Refusal.MALFORMED, "the envelope names no critical fields")
    if len(set(critical)) != len(critical) or not needed <= set(critical) <= protected.keys():
        raise refused(Refusal.MALFORMED, "the envelope's critical fields are not those that must be")
    if unknown := sorted(set(critical) - needed):
        raise refused(Refusal.UNSUPPORTED, "the envelope has a critical field that nobody here knows",
                      ascii(unknown[0])[:120])  # fmt: skip
    if protected.get(_SCHEME) != "notary.x509":
        raise refused(Refusal.UNSUPPORTED, "another signing scheme than notary.x509",
                      repr(protected.get(_SCHEME))[:120])  # fmt: skip
    if _EXPIRY in protected:
        expiry = check_time(expect_string(protected[_EXPIRY], "expiry"), "expiry")
        if at > expiry:
            raise refused(Refusal.SIGNATURE_EXPIRED, f"the signature expired at {expiry}")


def _target(payload: bytes, subject: Subject) -> dict[str, str]:
    """The annotations of the payload's target, which is the image by digest, media type and size."""
    fields = closed(
        read_object(payload, frozenset({"targetArtifact"}), "the payload"),
        frozenset({"targetArtifact"}), frozenset(), "the payload",
    )  # fmt: skip
    target = closed(fields["targetArtifact"], _TARGET, frozenset({"annotations"}), "targetArtifact")
    if (target["mediaType"], target["digest"], target["size"]) != (
        subject.media_type, str(subject.digest), len(subject.raw),
    ) or isinstance(target["size"], bool):  # fmt: skip
        raise refused(Refusal.OTHER_SUBJECT, "the signature is of another image, or gives it another type or size")
    return texts(target.get("annotations"), "annotations")
