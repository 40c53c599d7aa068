"""Keys that leave CMS signatures: one here or on a token with its certificates, or one that signed elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from bundles import limits
from bundles.errors import MalformedError, RefusedError, UsageError
from bundles.io import der
from bundles.io.files import read_small, require_file
from bundles.signing import certificates
from bundles.signing.cms.signed_data import (
    CONTENT_TYPE,
    DATA,
    DIGESTS,
    MESSAGE_DIGEST,
    SIGNATURES,
    SIGNED_DATA,
    to_pem,
)  # fmt: skip
from bundles.signing.cms.verify import made_by
from bundles.signing.keys import PrivateKey, PublicKey

_HASH_OF: Final = {"ecdsa-p256": "sha256", "ecdsa-p384": "sha384"}
"""The hash that a key of ours signs by (bundles.signing.signatures)."""


class CmsKey(PrivateKey):
    """A key with its certificates, its own first; a pinned root need not be among them."""

    def __init__(self, key: PrivateKey, chain: Sequence[x509.Certificate], file: Path) -> None:
        if key.public.algorithm not in _HASH_OF:
            raise UsageError(
                "a key of this kind leaves no CMS signature here",
                thing=key.public.algorithm,
                remedy="use ecdsa-p256 or ecdsa-p384, or sign with openssl and give --signature FILE",
            )
        try:
            first = PublicKey.of(chain[0].public_key())
            certificates.check_signer(chain[0])
        except MalformedError as error:
            remedy = error.remedy or "have a certificate for signing issued"
            raise UsageError(error.what, thing=f"{file}: {error.thing}".rstrip(": "), remedy=remedy) from None
        if first != key.public:
            raise UsageError(
                "the first certificate is another key's", thing=str(file), remedy="put the key's own first"
            )
        self.public, self._by, self._chain = key.public, key, tuple(chain)

    def sign(self, data: bytes) -> bytes:
        """The signature file over `data`, detached, as `openssl cms -verify` reads it."""
        name = _HASH_OF[self.public.algorithm]
        attributes = sorted(
            der.encode(der.SEQUENCE, kind, der.encode(der.SET, value))
            for kind, value in (
                (CONTENT_TYPE, DATA),
                (MESSAGE_DIGEST, der.encode(der.OCTETS, hashlib.new(name, data).digest())),
            )
        )
        signature = self._by.sign(der.encode(der.SET, *attributes))
        digest = der.encode(der.SEQUENCE, next(oid for oid, known in DIGESTS.items() if known == name))
        method = der.encode(der.SEQUENCE, next(oid for oid, known in SIGNATURES.items() if known == ("ecdsa", name)))
        leaf = self._chain[0]
        length = (leaf.serial_number.bit_length() + 8) // 8
        serial = der.encode(der.INTEGER, leaf.serial_number.to_bytes(length, "big"))
        signer = der.encode(
            der.SEQUENCE, der.encode_small(1), der.encode(der.SEQUENCE, leaf.issuer.public_bytes(), serial), digest,
            der.encode(der.CONTEXT_0, *attributes), method, der.encode(der.OCTETS, signature),
        )  # fmt: skip
        listed = sorted(one.public_bytes(Encoding.DER) for one in self._chain)
        signed = der.encode(
            der.SEQUENCE, der.encode_small(1), der.encode(der.SET, digest), der.encode(der.SEQUENCE, DATA),
            der.encode(der.CONTEXT_0, *listed), der.encode(der.SET, signer),
        )  # fmt: skip
        file = to_pem(der.encode(der.SEQUENCE, SIGNED_DATA, der.encode(der.CONTEXT_0, signed)))
        if len(file) > limits.SIGNATURE_FILE:
            raise UsageError("the certificates are too large", thing=f"{len(file)} bytes", remedy="give fewer")
        return file


class SignedElsewhere(PrivateKey):
    """A CMS signature that a card's own program, or openssl, made over the bytes that are to be signed."""

    def __init__(self, file: Path, content: bytes) -> None:
        require_file(file, "give a signature's file")
        self._file = read_small(file, limits.SIGNATURE_FILE)
        try:
            self.public = made_by(self._file, content).key
        except MalformedError as error:
            raise RefusedError(
                error.what, thing=f"{file}: {error.thing}".rstrip(": "), remedy=error.remedy or "sign it anew"
            ) from None
        self._content = content

    def sign(self, data: bytes) -> bytes:
        """The file. Raises RefusedError for other bytes than it was checked against."""
        if data != self._content:
            raise RefusedError("the signature is over other bytes", remedy="sign SHA256SUMS of this very bundle")
        return self._file


def read_chain(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, in its order. Raises UsageError."""
    require_file(path)
    raw = read_small(path, limits.CERTIFICATES_FILE)
    try:
        chain = x509.load_pem_x509_certificates(raw) if certificates.is_certificate(raw) else []
    except (ValueError, TypeError, UnsupportedAlgorithm):
        chain = []
    if not 1 <= len(chain) <= limits.CERTIFICATE_CHAIN:
        raise UsageError(
            "not a chain of certificates in PEM",
            thing=str(path),
            remedy=f"give the key's certificate, then each issuer's; {limits.CERTIFICATE_CHAIN} at most",
        )
    return chain
