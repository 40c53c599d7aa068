"""Signatures in their one form, an algorithm each. A signature is detached: raw bytes beside the bytes that it is over.

| algorithm | bytes |
|---|---|
| `ecdsa-p256` | DER `SEQUENCE { r, s }` (RFC 3279, section 2.2.3) over SHA-256 |
| `ecdsa-p384` | the same over SHA-384 |
| `ed25519` | the 64 bytes of RFC 8032, section 5.1.6 |
| `rsa` | PKCS#1 v1.5 over SHA-256 (RFC 8017, section 8.2), as long as the modulus; verified only |

SSH keys (`bundles.signing.ssh.keys`) and hybrid ones (`bundles.signing.hybrid`) have forms of their own.

DER leaves room for other bytes that say the same, so r and s must be in range, are encoded again, and must give the
same bytes; an Ed25519 signature is of its exact length, and the library refuses an S out of range. ECDSA's nonce
is derived from key and message (RFC 6979): a signer who signs each medium of a bundle by itself leaves the same file
on all of them, and no weak random source can give a key away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from bundles import limits
from bundles.errors import UsageError

PublicMaterial = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateMaterial = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

DEFAULT_ALGORITHM: Final = "ecdsa-p256"
ED25519: Final = "ed25519"
RSA: Final = "rsa"
_ED25519_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class _Curve:
    """An ECDSA algorithm: its curve, its hash, and the order of the curve's group (SP 800-186, section 3.2.1)."""

    curve: type[ec.EllipticCurve]
    digest: type[hashes.HashAlgorithm]
    order: int


_CURVES: Final = {
    "ecdsa-p256": _Curve(
        ec.SECP256R1, hashes.SHA256, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    ),
    "ecdsa-p384": _Curve(
        ec.SECP384R1,
        hashes.SHA384,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
}
ALGORITHMS: Final = (*_CURVES, ED25519)
"""Those that a key here may sign by."""


def generate(algorithm: str) -> PrivateMaterial:
    """A new private key. Raises UsageError for an unknown algorithm."""
    if algorithm == ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm not in _CURVES:
        raise UsageError("unknown key algorithm", thing=algorithm, remedy=f"use one of {', '.join(ALGORITHMS)}")
    return ec.generate_private_key(_CURVES[algorithm].curve())


def algorithm_of(key: PublicMaterial) -> str | None:
    """The algorithm that a key signs by, or None for a curve or size that is not supported."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ED25519
    if isinstance(key, rsa.RSAPublicKey):
        return RSA if limits.RSA_BITS_LEAST <= key.key_size <= limits.RSA_BITS_MOST else None
    return next((name for name, known in _CURVES.items() if isinstance(key.curve, known.curve)), None)


def order_of(key: ec.EllipticCurvePublicKey) -> int:
    """The order of the group of a key for which `algorithm_of` has an algorithm."""
    return next(known.order for known in _CURVES.values() if isinstance(key.curve, known.curve))


def make_signature(algorithm: str, key: PrivateMaterial, data: bytes) -> bytes:
    """The signature over `data`. The same key and data give the same bytes."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ec.ECDSA(_CURVES[algorithm].digest(), deterministic_signing=True))


class Hashed:
    """Bytes over which the signatures of several keys are tried: hashed once for each hash function."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._digests: dict[str, bytes] = {}

    def digest(self, function: hashes.HashAlgorithm) -> bytes:
        """The hash of the bytes."""
        if function.name not in self._digests:
            hashing = hashes.Hash(function)
            hashing.update(self.data)
            self._digests[function.name] = hashing.finalize()
        return self._digests[function.name]


def signature_holds(algorithm: str, key: PublicMaterial, data: bytes | Hashed, signature: bytes) -> bool:
    """Whether `signature` is the key's over `data`, in its one form. Ed25519 is over the bytes themselves."""
    hashed = data if isinstance(data, Hashed) else Hashed(data)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            if len(signature) != _ED25519_LENGTH:
                return False
            key.verify(signature, hashed.data)
        elif isinstance(key, rsa.RSAPublicKey):
            if len(signature) != (key.key_size + 7) // 8:
                return False
            sha256 = hashes.SHA256()
            key.verify(signature, hashed.digest(sha256), padding.PKCS1v15(), Prehashed(sha256))
        else:
            if not is_strict_der(signature, _CURVES[algorithm].order):
                return False
            function = _CURVES[algorithm].digest()
            key.verify(signature, hashed.digest(function), ec.ECDSA(Prehashed(function)))
    except InvalidSignature:
        return False
    return True


def is_strict_der(signature: bytes, order: int) -> bool:
    """Whether these are the only bytes for an r and s from 1 to `order` - 1. The library's readers are strict today;
    this rule does not rest on their staying so."""
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return False
    return 0 < r < order and 0 < s < order and encode_dss_signature(r, s) == signature
