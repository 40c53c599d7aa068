"""Private and public keys: ECDSA over P-256 and P-384, files in PKCS#8 and SubjectPublicKeyInfo PEM.

A key's id is the first 16 hex digits of sha256 over its SubjectPublicKeyInfo: a name, never a proof. Signatures are
DER (RFC 3279, section 2.2.3), re-encoded on reading and required equal, so that a signature has one form.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from bundles import limits
from bundles.errors import FailedError, MalformedError, UsageError
from bundles.files import read_small, sync_folder

DEFAULT_ALGORITHM: Final = "ecdsa-p256"
_CURVES: Final[dict[str, tuple[type[ec.EllipticCurve], type[hashes.HashAlgorithm]]]] = {
    "ecdsa-p256": (ec.SECP256R1, hashes.SHA256),
    "ecdsa-p384": (ec.SECP384R1, hashes.SHA384),
}
ALGORITHMS: Final = tuple(_CURVES)
_ORDERS: Final = {
    "ecdsa-p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ecdsa-p384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_KEYID: Final = re.compile(r"[0-9a-f]{16}\Z")


def check_name(name: str) -> str:
    """A key's name in a station's folder. Raises UsageError."""
    if not _NAME.match(name):
        raise UsageError(
            "malformed key name", thing=repr(name)[:80], remedy="use lower-case letters, digits, . _ and -"
        )
    return name


def check_keyid(keyid: str) -> str:
    """A key's id: 16 lower-case hex digits. Raises MalformedError."""
    if not _KEYID.match(keyid):
        raise MalformedError("malformed key id", thing=repr(keyid)[:80], remedy="give 16 lower-case hex digits")
    return keyid


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key with its algorithm; equal when the SubjectPublicKeyInfo is."""

    algorithm: str
    spki: bytes

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """Read a PEM. Raises MalformedError: not a key, an unsupported kind, or bytes beside the one PEM block."""
        try:
            key = serialization.load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise MalformedError(
                "not a public key in PEM", remedy="export one with: lockgate key export NAME"
            ) from None
        public = cls._wrap(key)
        if public.to_pem().split() != pem.split():
            raise MalformedError("a public key file with bytes of its own", remedy="it must hold one PEM block alone")
        return public

    @classmethod
    def _wrap(cls, key: object) -> PublicKey:
        if isinstance(key, ec.EllipticCurvePublicKey):
            for algorithm, (curve, _) in _CURVES.items():
                if isinstance(key.curve, curve):
                    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
                    return cls(algorithm, key.public_bytes(encoding, form))
        raise MalformedError("unsupported kind of key", remedy=f"use one of {', '.join(ALGORITHMS)}")

    @property
    def _key(self) -> ec.EllipticCurvePublicKey:
        key = serialization.load_der_public_key(self.spki)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise MalformedError("unsupported kind of key", remedy=f"use one of {', '.join(ALGORITHMS)}")
        return key

    @property
    def fingerprint(self) -> str:
        """sha256 of the SubjectPublicKeyInfo, 64 hex digits."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def keyid(self) -> str:
        return self.fingerprint[:16]

    def to_pem(self) -> bytes:
        """The SubjectPublicKeyInfo in PEM (RFC 7468, section 13)."""
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_bytes(encoding, form)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `data`, in its one DER form, with r and s in range."""
        try:
            r, s = decode_dss_signature(signature)
        except ValueError:
            return False
        order = _ORDERS[self.algorithm]
        if not (0 < r < order and 0 < s < order) or encode_dss_signature(r, s) != signature:
            return False
        try:
            self._key.verify(signature, data, ec.ECDSA(_CURVES[self.algorithm][1]()))
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """A private key, held in this process alone."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public = PublicKey._wrap(key.public_key())

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.keyid})"

    def sign(self, data: bytes) -> bytes:
        """A DER signature over `data`."""
        return self._key.sign(data, ec.ECDSA(_CURVES[self.public.algorithm][1]()))

    def to_pem(self, passphrase: bytes | None) -> bytes:
        """PKCS#8 in PEM, encrypted where there is a passphrase (RFC 5958)."""
        encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def create_private(algorithm: str = DEFAULT_ALGORITHM) -> PrivateKey:
    """A new key. Raises UsageError for an unknown algorithm."""
    if algorithm not in _CURVES:
        raise UsageError("unknown key algorithm", thing=algorithm, remedy=f"use one of {', '.join(ALGORITHMS)}")
    return PrivateKey(ec.generate_private_key(_CURVES[algorithm][0]()))


def save_private(path: Path, key: PrivateKey, passphrase: bytes | None) -> None:
    """Write `path` (0600, new) and `<stem>.pub.pem` beside it. Raises FailedError where either exists."""
    public = path.with_name(f"{path.stem}.pub.pem")
    for file, data, mode in ((path, key.to_pem(passphrase), 0o600), (public, key.public.to_pem(), 0o644)):
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        except FileExistsError:
            raise FailedError("the key exists", thing=str(file), remedy="choose another name") from None
        except OSError as error:
            raise FailedError(f"the key cannot be written ({error.strerror})", thing=str(file)) from None
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    sync_folder(path.parent)


def is_encrypted(pem: bytes) -> bool:
    """Whether a PKCS#8 PEM needs a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem


def load_private(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Read a private key. Raises UsageError: missing, wrong or missing passphrase, not a key of a supported kind."""
    if not path.is_file():
        raise UsageError("no such key", thing=str(path), remedy="make one with: lockgate key create NAME")
    pem = read_small(path, limits.KEY_FILE)
    if is_encrypted(pem) and not passphrase:
        raise UsageError(
            "the key needs its passphrase", thing=str(path), remedy="give it at the prompt or --passphrase-fd"
        )
    try:
        key = serialization.load_pem_private_key(pem, passphrase if is_encrypted(pem) else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        remedy = "type the passphrase again" if is_encrypted(pem) else "give a PKCS#8 PEM"
        what = "the passphrase does not open the key" if is_encrypted(pem) else "not a private key"
        raise UsageError(what, thing=str(path), remedy=remedy) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError("unsupported kind of key", thing=str(path), remedy=f"use one of {', '.join(ALGORITHMS)}")
    return PrivateKey(key)
