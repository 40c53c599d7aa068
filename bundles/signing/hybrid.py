"""Hybrid signatures: ECDSA over P-384 and ML-DSA-87 (FIPS 204), where both must hold over the same bytes.

A hybrid key is two SubjectPublicKeyInfos, the ECDSA one first, and its file is their two PEM blocks: stock openssl
reads the first of them and checks the `.sig` half, and an openssl of 3.5 or later checks the `.mldsa` half too. The
keyid is of both together. A signature as bytes is the ECDSA DER with the ML-DSA's fixed length behind it.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from bundles.errors import MalformedError
from bundles.signing import signatures

ALGORITHM: Final = "ecdsa-p384+ml-dsa-87"
CLASSICAL: Final = "ecdsa-p384"
POST_QUANTUM_LENGTH: Final = 4627
"""Bytes of an ML-DSA-87 signature (FIPS 204, table 2)."""
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----\r?\n.*?-----END \1-----\r?\n?", re.DOTALL)


class HybridPublic:
    """Both public halves."""

    def __init__(self, classical: ec.EllipticCurvePublicKey, post_quantum: mldsa.MLDSA87PublicKey) -> None:
        self.classical, self.post_quantum = classical, post_quantum

    def holds(self, data: bytes, signature: bytes) -> bool:
        """Whether both halves of a signature hold. Neither is skipped for the other."""
        if len(signature) <= POST_QUANTUM_LENGTH:
            return False
        first, second = split(signature)
        classical_holds = signatures.signature_holds(CLASSICAL, self.classical, data, first)
        try:
            self.post_quantum.verify(second, data)
        except InvalidSignature:
            return False
        return classical_holds

    def halves(self) -> tuple[bytes, bytes]:
        """Both SubjectPublicKeyInfos, DER."""
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.classical.public_bytes(encoding, form), self.post_quantum.public_bytes(encoding, form)

    def to_pem(self) -> bytes:
        """Both PEM blocks, the ECDSA one first."""
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.classical.public_bytes(encoding, form) + self.post_quantum.public_bytes(encoding, form)


class HybridPrivate:
    """Both private halves."""

    def __init__(self, classical: ec.EllipticCurvePrivateKey, post_quantum: mldsa.MLDSA87PrivateKey) -> None:
        self._classical, self._post_quantum = classical, post_quantum

    @classmethod
    def generate(cls) -> HybridPrivate:
        """Two new keys."""
        return cls(ec.generate_private_key(ec.SECP384R1()), mldsa.MLDSA87PrivateKey.generate())

    @property
    def classical(self) -> ec.EllipticCurvePrivateKey:
        """The ECDSA half."""
        return self._classical

    def public_key(self) -> HybridPublic:
        return HybridPublic(self._classical.public_key(), self._post_quantum.public_key())

    def sign(self, data: bytes) -> bytes:
        """Both signatures over `data`. The ML-DSA half is hedged with randomness: two calls differ in it."""
        return signatures.make_signature(CLASSICAL, self._classical, data) + self._post_quantum.sign(data)

    def to_pem(self, encryption: serialization.KeySerializationEncryption) -> bytes:
        """Both PKCS#8 blocks."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self._classical.private_bytes(encoding, form, encryption) + self._post_quantum.private_bytes(
            encoding, form, encryption
        )


def split(signature: bytes) -> tuple[bytes, bytes]:
    """A signature's ECDSA and ML-DSA halves."""
    return signature[:-POST_QUANTUM_LENGTH], signature[-POST_QUANTUM_LENGTH:]


def blocks(pem: bytes) -> list[bytes]:
    """The PEM blocks of a file."""
    return [match.group() for match in _BLOCK.finditer(pem)]


def public_of(first: object, second: object) -> HybridPublic:
    """Two public keys as one. Raises MalformedError for any other pair."""
    if (
        isinstance(first, ec.EllipticCurvePublicKey)
        and isinstance(first.curve, ec.SECP384R1)
        and isinstance(second, mldsa.MLDSA87PublicKey)
    ):
        return HybridPublic(first, second)
    raise MalformedError("unsupported pair of keys", remedy="a hybrid key is ECDSA P-384, then ML-DSA-87")


def private_of(first: object, second: object) -> HybridPrivate:
    """Two private keys as one. Raises MalformedError for any other pair."""
    if (
        isinstance(first, ec.EllipticCurvePrivateKey)
        and isinstance(first.curve, ec.SECP384R1)
        and isinstance(second, mldsa.MLDSA87PrivateKey)
    ):
        return HybridPrivate(first, second)
    raise MalformedError("unsupported pair of keys", remedy="a hybrid key is ECDSA P-384, then ML-DSA-87")
