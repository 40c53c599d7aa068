"""Private and public keys and their files: PKCS#8 and SubjectPublicKeyInfo, in PEM.

A key's id is the first 16 hex digits of sha256 over its SubjectPublicKeyInfo: a name, never a proof.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from bundles import limits
from bundles.errors import FailedError, MalformedError, UsageError
from bundles.files import os_failure, read_small, sync_folder
from bundles.signing.signatures import (
    ALGORITHMS,
    DEFAULT_ALGORITHM,
    PrivateMaterial,
    PublicMaterial,
    algorithm_of,
    generate,
    make_signature,
    signature_holds,
)

PUBLIC_SUFFIX: Final = ".pub.pem"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_KEYID: Final = re.compile(r"[0-9a-f]{16}\Z")
_ENCRYPTED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


def check_name(name: str) -> str:
    """A key's name in a station's folder. Raises UsageError.

    `x.pub` is no name: its private file would stand where the public half of `x` does.
    """
    if not _NAME.match(name) or name.endswith(".pub"):
        raise UsageError(
            "malformed key name",
            thing=repr(name)[:80],
            remedy="use 1 to 64 lower-case letters, digits, . _ and -, a letter or digit first, and no .pub at the end",
        )
    return name


def check_keyid(keyid: str) -> str:
    """A key's id: 16 lower-case hex digits. Raises MalformedError."""
    if not _KEYID.match(keyid):
        raise MalformedError("malformed key id", thing=repr(keyid)[:80], remedy="give 16 lower-case hex digits")
    return keyid


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key with its algorithm; equal when the SubjectPublicKeyInfo (DER) is."""

    algorithm: str
    spki: bytes

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """Read a PEM. Raises MalformedError: not a key, an unsupported kind, or bytes beside the one PEM block.

        The block is encoded again and must be the same, so that a key has one form; line ends may differ.
        """
        try:
            key = serialization.load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise MalformedError(
                "not a public key in PEM", remedy="export one with: lockgate key export NAME"
            ) from None
        public = cls.of(key)
        if public.to_pem().splitlines() != pem.rstrip().splitlines():
            raise MalformedError("a public key file with bytes of its own", remedy="it must hold one PEM block alone")
        return public

    @classmethod
    def of(cls, key: object) -> PublicKey:
        """The cryptography library's key as ours. Raises MalformedError for a kind that is not supported."""
        if not isinstance(key, PublicMaterial) or (algorithm := algorithm_of(key)) is None:
            raise _unsupported()
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return cls(algorithm, key.public_bytes(encoding, form))

    @property
    def _key(self) -> PublicMaterial:
        key = serialization.load_der_public_key(self.spki)
        if not isinstance(key, PublicMaterial):
            raise _unsupported()
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
        """Whether `signature` is this key's over `data`, in its one form (bundles.signing.signatures)."""
        return signature_holds(self.algorithm, self._key, data, signature)


class PrivateKey:
    """A private key, held in this process alone."""

    def __init__(self, key: PrivateMaterial) -> None:
        self._key = key
        self.public = PublicKey.of(key.public_key())

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.keyid})"

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`; the same data gives the same bytes."""
        return make_signature(self.public.algorithm, self._key, data)

    def to_pem(self, passphrase: bytes | None) -> bytes:
        """PKCS#8 in PEM, encrypted where there is a passphrase (RFC 5958)."""
        encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def create_private(algorithm: str = DEFAULT_ALGORITHM) -> PrivateKey:
    """A new key. Raises UsageError for an unknown algorithm."""
    return PrivateKey(generate(algorithm))


def save_private(path: Path, key: PrivateKey, passphrase: bytes | None) -> None:
    """Write `path` (new, mode 0600) and `<stem>.pub.pem` beside it, in a folder that is made 0700 where it is missing.

    Raises FailedError where either file exists or cannot be written; then neither is left behind.
    """
    public = path.with_name(f"{path.stem}{PUBLIC_SUFFIX}")
    made: list[Path] = []
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        for file, data, mode in ((path, key.to_pem(passphrase), 0o600), (public, key.public.to_pem(), 0o644)):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(file, flags, mode), "wb") as out:
                made.append(file)
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        sync_folder(path.parent)
    except OSError as error:
        for file in made:
            with contextlib.suppress(OSError):
                file.unlink()
        if isinstance(error, FileExistsError):
            raise FailedError("the key exists", thing=str(error.filename), remedy="choose another name") from None
        raise os_failure(error, path, "the key cannot be written") from None


def load_public(path: Path) -> PublicKey:
    """Read a public key's PEM. Raises UsageError naming the file: missing, not a key, or of an unsupported kind."""
    if not path.is_file():
        raise UsageError("no such key", thing=str(path), remedy="give a public key in PEM")
    try:
        return PublicKey.from_pem(read_small(path, limits.KEY_FILE))
    except MalformedError as error:
        raise UsageError(error.what, thing=str(path), remedy=error.remedy) from None


def is_encrypted(pem: bytes) -> bool:
    """Whether a PKCS#8 PEM needs a passphrase."""
    return _ENCRYPTED in pem


def load_private(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Read a private key.

    Raises UsageError: no such file, a passphrase that is wrong, missing or not wanted, or no key of a supported kind.
    """
    if not path.is_file():
        raise UsageError("no such key", thing=str(path), remedy="make one with: lockgate key create NAME")
    pem = read_small(path, limits.KEY_FILE)
    if is_encrypted(pem) and not passphrase:
        raise UsageError(
            "the key needs its passphrase", thing=str(path), remedy="give it at the prompt or --passphrase-fd"
        )
    if passphrase and not is_encrypted(pem):
        raise UsageError(
            "a passphrase was given, and the key's file is not encrypted",
            thing=str(path),
            remedy="check that it is the right file, or give no passphrase",
        )
    try:
        key = serialization.load_pem_private_key(pem, passphrase or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        remedy = "type the passphrase again" if is_encrypted(pem) else "give a PKCS#8 PEM"
        what = "the passphrase does not open the key" if is_encrypted(pem) else "not a private key"
        raise UsageError(what, thing=str(path), remedy=remedy) from None
    if not isinstance(key, PrivateMaterial) or algorithm_of(key.public_key()) is None:
        raise UsageError("unsupported kind of key", thing=str(path), remedy=f"use one of {', '.join(ALGORITHMS)}")
    return PrivateKey(key)


def _unsupported() -> MalformedError:
    return MalformedError("unsupported kind of key", remedy=f"use one of {', '.join(ALGORITHMS)}")
