"""Notation's signatures, made: a JWS by a key whose certificate leads to a root (signature-envelope-jws.md).

The key may be of a kind that signs nothing else here: RSA, or ECDSA on P-521. The certificates are held to the rules
that the verifier has, before anything is signed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bundles import limits
from bundles.errors import MalformedError, UsageError
from bundles.image_signatures import notation, notation_jws
from bundles.image_signatures.making import Made
from bundles.io.files import read_small, require_file
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.signing import certificates
from bundles.signing.keys import PublicKey, open_private

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_AGENT: Final = "io.cncf.notary.signingAgent"
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, and its certificates in DER from its own to the root."""

    key: _Key
    chain: tuple[bytes, ...]

    @property
    def root(self) -> PublicKey:
        """The root, as it is pinned."""
        return PublicKey(certificates.ALGORITHM, self.chain[-1])

    def sign(self, data: bytes) -> bytes:
        """The signature in JWS' form, by the one algorithm of the key (RFC 7518, sections 3.4 and 3.5)."""
        algorithm = _algorithm(self.key)
        if isinstance(self.key, rsa.RSAPrivateKey):
            salted = padding.PSS(padding.MGF1(algorithm.hashed), padding.PSS.DIGEST_LENGTH)
            return self.key.sign(data, salted, algorithm.hashed)
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(algorithm.hashed, deterministic_signing=True)))
        return r.to_bytes(algorithm.length, "big") + s.to_bytes(algorithm.length, "big")


def load_signer(key_file: Path, passphrase: bytes | None, chain_file: Path, at: str) -> Signer:
    """A key and its certificates, fit to sign at `at` (UTC text).

    Raises UsageError: a key that Notation does not sign by, a chain that does not lead from the key's certificate to a
    self-signed root, or a certificate that a verifier refuses.
    """
    chain = _read_chain(chain_file)
    key = open_private(key_file, passphrase)
    if not isinstance(key, _Key) or _known(key) is None:
        raise UsageError(
            "Notation signs by no key of this kind",
            thing=str(key_file),
            remedy="use ECDSA on P-256, P-384 or P-521, or RSA of 2048, 3072 or 4096 bits",
        )
    try:
        _check(chain, datetime.fromisoformat(at))
    except MalformedError as error:
        raise UsageError(
            error.what, thing=f"{chain_file}: {error.thing}", remedy="have a certificate for signing code issued",
            code=error.code,
        ) from None  # fmt: skip
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if chain[0].public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        raise UsageError(
            "the first certificate is another key's",
            thing=str(chain_file),
            remedy="put the key's own first",
        )
    return Signer(key, tuple(one.public_bytes(serialization.Encoding.DER) for one in chain))


def sign_image(
    digest: Digest, media_type: str, size: int, signer: Signer, at: str, annotations: Mapping[str, str]
) -> Made:
    """A signature of the artifact with this manifest, its size in bytes. `at` is the signing time that the envelope
    gives (UTC text); nobody believes it."""
    target = {"mediaType": media_type, "digest": str(digest), "size": size}
    payload = {"targetArtifact": target | ({"annotations": dict(annotations)} if annotations else {})}
    protected = {
        "alg": _algorithm(signer.key).name,
        "crit": [notation.SCHEME],
        "cty": notation.PAYLOAD_TYPE,
        notation.SCHEME: "notary.x509",
        notation.TIME: at,
    }
    first, second = (_base64url(canonical(part)) for part in (protected, payload))
    document = {
        "payload": second,
        "protected": first,
        "header": {"x5c": [base64.b64encode(der).decode() for der in signer.chain], _AGENT: "lockgate"},
        "signature": _base64url(signer.sign(f"{first}.{second}".encode("ascii"))),
    }
    return Made(notation_jws.MEDIA_TYPE, canonical(document))


def _read_chain(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, in its order. Raises UsageError."""
    require_file(path)
    raw = read_small(path, limits.CERTIFICATES_FILE)
    try:
        chain = x509.load_pem_x509_certificates(raw) if _BEGIN in raw else []
    except (ValueError, TypeError, UnsupportedAlgorithm):
        chain = []
    if not 1 <= len(chain) <= limits.CERTIFICATE_CHAIN:
        raise UsageError(
            "not a chain of certificates in PEM",
            thing=str(path),
            remedy=f"give the key's certificate, then each issuer's to the root; {limits.CERTIFICATE_CHAIN} at most",
        )
    return chain


def _check(chain: Sequence[x509.Certificate], at: datetime) -> None:
    """As the verifier checks it, the root's own signature too. Raises MalformedError."""
    for certificate, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        certificates.load(certificate.public_bytes(serialization.Encoding.DER))
        certificates.check_issued(certificate, issuer)
        certificates.check_valid(certificate, at)
    certificates.check_leaf(chain[0])
    for below, authority in enumerate(chain[1:]):
        certificates.check_ca(authority, below)


def _algorithm(key: _Key) -> notation.Algorithm:
    algorithm = _known(key)
    if algorithm is None:
        raise UsageError("Notation signs by no key of this kind", remedy="use ECDSA or RSA")
    return algorithm


def _known(key: _Key) -> notation.Algorithm | None:
    return notation.algorithm_of(key.public_key())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
