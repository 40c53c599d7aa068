"""Private and public keys and their files: PKCS#8 and SubjectPublicKeyInfo in PEM, cosign's form, and OpenSSH's.

A key's id is the first 16 hex digits of sha256 over its encoding: a name, never a proof.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bundles import limits
from bundles.errors import LockgateError, MalformedError, UsageError
from bundles.io.files import os_failure, own_as_folder, read_small, sync_folder
from bundles.signing import certificates, cosign_key, hybrid, signature_files
from bundles.signing import fingerprint_words as words
from bundles.signing.signatures import (
    ALGORITHMS,
    DEFAULT_ALGORITHM,
    RSA,
    Hashed,
    PrivateMaterial,
    PublicMaterial,
    algorithm_of,
    generate,
    make_signature,
    signature_holds,
)
from bundles.signing.ssh import keys as ssh_keys
from bundles.signing.ssh import sign as ssh_sign
from bundles.signing.ssh import sshsig

CREATABLE: Final = (*ALGORITHMS, hybrid.ALGORITHM)
"""The algorithms that `create_private` makes keys of."""
_HYBRID_BLOCKS: Final = 2
PUBLIC_SUFFIX: Final = ".pub.pem"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_KEYID: Final = re.compile(r"[0-9a-f]{16}\Z")
_ENCRYPTED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_PRIVATE: Final = b"PRIVATE KEY-----"


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
    """A public key with its algorithm; equal when its encoding is.

    `encoded` is the SubjectPublicKeyInfo (DER); of a hybrid key both, ECDSA first; of an SSH key OpenSSH's blob; of a
    pinned X.509 root the certificate.
    """

    algorithm: str
    encoded: bytes

    @classmethod
    def from_pem(cls, pem: bytes) -> PublicKey:
        """Read a public key's file: one PEM block, the two of a hybrid key, OpenSSH's line, or a root certificate.

        Raises MalformedError: not a key, an unsupported kind, or bytes beside it. It is encoded again and must be the
        same, so that a key has one form; line ends may differ, and so may the comment behind an SSH key.
        """
        if ssh_keys.is_line(pem):
            return cls.of_ssh(ssh_keys.parse_line(pem))
        if certificates.is_certificate(pem):
            return cls(certificates.ALGORITHM, certificates.parse_root(pem))
        try:
            found = hybrid.blocks(pem) if pem.count(b"-----BEGIN ") == _HYBRID_BLOCKS else [pem]
            keys = [serialization.load_pem_public_key(block) for block in found]
        except (ValueError, TypeError, UnsupportedAlgorithm):
            if b"PRIVATE KEY-----" in pem:
                raise MalformedError(
                    "this is a private key", remedy="it stays where it is; give what lockgate key export NAME prints"
                ) from None
            raise MalformedError(
                "not a public key in PEM",
                remedy="export one by lockgate-verify key export FILE, at a station with: lockgate key export NAME",
            ) from None
        if len(keys) == _HYBRID_BLOCKS:
            public = cls.of(hybrid.public_of(*keys))
        elif keys:
            public = cls.of(keys[0])
        else:
            raise MalformedError("not a public key in PEM", remedy="it must hold one PEM block alone")
        if public.to_pem().splitlines() != pem.rstrip().splitlines():
            raise MalformedError("a public key file with bytes of its own", remedy="it must hold one PEM block alone")
        return public

    @classmethod
    def of(cls, key: object) -> PublicKey:
        """The cryptography library's key (or a hybrid pair) as ours. Raises MalformedError for an unsupported kind."""
        if isinstance(key, hybrid.HybridPublic):
            return cls(hybrid.ALGORITHM, b"".join(key.halves()))
        if not isinstance(key, PublicMaterial) or (algorithm := algorithm_of(key)) is None:
            raise _unsupported()
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return cls(algorithm, key.public_bytes(encoding, form))

    @classmethod
    def of_ssh(cls, blob: bytes) -> PublicKey:
        """An SSH key from OpenSSH's blob. Raises MalformedError."""
        return cls(ssh_keys.parse_blob(blob).algorithm, blob)

    @property
    def _key(self) -> PublicMaterial:
        key = serialization.load_der_public_key(self.encoded)
        if not isinstance(key, PublicMaterial):
            raise _unsupported()
        return key

    def _pair(self) -> hybrid.HybridPublic:
        """Both halves of a hybrid key: a DER sequence says its own length, so the first ends where it says."""
        end = int.from_bytes(self.encoded[1:2], "big") + 2
        first, second = self.encoded[:end], self.encoded[end:]
        return hybrid.public_of(serialization.load_der_public_key(first), serialization.load_der_public_key(second))

    @property
    def fingerprint(self) -> str:
        """sha256 of `encoded`, 64 hex digits. Of an SSH key it is what `ssh-keygen -l` shows, in hex."""
        return hashlib.sha256(self.encoded).hexdigest()

    @property
    def keyid(self) -> str:
        return self.fingerprint[:16]

    @property
    def words(self) -> str:
        """The fingerprint to be read over a telephone (bundles.signing.fingerprint_words)."""
        return words.spoken(self.fingerprint)

    def to_pem(self) -> bytes:
        """The key's file: SubjectPublicKeyInfo in PEM (RFC 7468, section 13), a hybrid key's two, an SSH key's line."""
        if self.algorithm in ssh_keys.ALGORITHMS:
            return ssh_keys.render_line(self.encoded)
        if self.algorithm == certificates.ALGORITHM:
            return certificates.render(self.encoded)
        if self.algorithm == hybrid.ALGORITHM:
            return self._pair().to_pem()
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_bytes(encoding, form)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `data`, in its one form (bundles.signing.signatures).

        A hybrid key's signature is both halves (bundles.signing.hybrid), an SSH key's the signature file's bytes. A
        root certificate signs other certificates alone: nothing is its signature.
        """
        if self.algorithm in ssh_keys.ALGORITHMS:
            return sshsig.holds(self.encoded, data, signature)
        if self.algorithm == certificates.ALGORITHM:
            return False
        if self.algorithm == hybrid.ALGORITHM:
            return self._pair().holds(data, signature)
        return signature_holds(self.algorithm, self._key, data, signature)

    def verify_hashed(self, data: Hashed, signature: bytes) -> bool:
        """As `verify`, over bytes for which several keys are tried: what this key hashes is hashed once for all."""
        if self.algorithm in (*ALGORITHMS, RSA):
            return signature_holds(self.algorithm, self._key, data, signature)
        return self.verify(data.data, signature)

    def verify_files(self, data: bytes, files: Mapping[str, bytes]) -> bool:
        """Whether these files (kind to bytes) are exactly the key's kinds, and its signature over `data`."""
        signature = signature_files.join(self.algorithm, files)
        return signature is not None and self.verify(data, signature)


class PrivateKey:
    """A private key, held in this process alone."""

    def __init__(self, key: PrivateMaterial | hybrid.HybridPrivate) -> None:
        self._key = key
        self.public = PublicKey.of(key.public_key())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.public.keyid})"

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`; the same data gives the same bytes, but for a hybrid key's ML-DSA half."""
        if isinstance(self._key, hybrid.HybridPrivate):
            return self._key.sign(data)
        return make_signature(self.public.algorithm, self._key, data)

    def derive(self, info: bytes) -> bytes:
        """32 bytes for a purpose, by HKDF-SHA-256 (RFC 5869) from the private part: the number of an ECDSA key
        (big-endian, as long as its curve's), the seed of an Ed25519 key; of a hybrid key that of its ECDSA half."""
        key = self._key.classical if isinstance(self._key, hybrid.HybridPrivate) else self._key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            secret = key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
        else:
            secret = key.private_bytes_raw()
        return HKDF(hashes.SHA256(), length=32, salt=None, info=info).derive(secret)

    def to_pem(self, passphrase: bytes | None) -> bytes:
        """PKCS#8 in PEM, encrypted where there is a passphrase (RFC 5958)."""
        encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        if isinstance(self._key, hybrid.HybridPrivate):
            return self._key.to_pem(encryption)
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    def to_cosign(self, passphrase: bytes) -> bytes:
        """The key as cosign keeps it. Raises UsageError for a key that cosign does not know."""
        if self.public.algorithm != DEFAULT_ALGORITHM or isinstance(self._key, hybrid.HybridPrivate):
            raise UsageError("cosign does not sign by this kind", thing=self.public.algorithm, remedy="use ecdsa-p256")
        encoding, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
        return cosign_key.seal_key(self._key.private_bytes(encoding, form, serialization.NoEncryption()), passphrase)


class SshPrivateKey(PrivateKey):
    """A key that OpenSSH keeps: in a file of its own, in an agent or on a FIDO token. ssh-keygen signs.

    `secret` is its file's passphrase or its token's PIN; an agent needs none.
    """

    def __init__(self, path: Path, data: bytes, secret: bytes | None) -> None:
        self._path, self._secret = path, secret
        self.public = PublicKey.of_ssh(ssh_sign.public_blob(path, data))
        if self.public.algorithm == ssh_keys.RSA:
            raise UsageError("RSA keys verify only", thing=str(path), remedy="sign with an Ed25519 or ECDSA key")
        if secret is not None:
            ssh_sign.check(path, secret)

    def sign(self, data: bytes) -> bytes:
        """The signature file over `data`; a token's differs each time. Raises FailedError with ssh-keygen's reason."""
        return ssh_sign.sign(self._path, self.public.encoded, data, self._secret)

    def derive(self, info: bytes) -> bytes:
        raise UsageError(
            "an SSH key's private part stays with OpenSSH", thing=str(self._path), remedy="use a key in PKCS#8 PEM"
        )

    def to_pem(self, passphrase: bytes | None) -> bytes:
        raise UsageError(
            "an SSH key stays in OpenSSH's own file", thing=str(self._path), remedy="change it with: ssh-keygen -p"
        )

    def to_cosign(self, passphrase: bytes) -> bytes:
        raise UsageError("cosign does not sign by this kind", thing=self.public.algorithm, remedy="use ecdsa-p256")


def create_private(algorithm: str = DEFAULT_ALGORITHM) -> PrivateKey:
    """A new key. Raises UsageError for an unknown algorithm."""
    if algorithm == hybrid.ALGORITHM:
        return PrivateKey(hybrid.HybridPrivate.generate())
    if algorithm not in ALGORITHMS:
        raise UsageError("unknown key algorithm", thing=algorithm, remedy=f"use one of {', '.join(CREATABLE)}")
    return PrivateKey(generate(algorithm))


def save_private(path: Path, key: PrivateKey, passphrase: bytes | None) -> None:
    """Write `path` (new, mode 0600) and `<stem>.pub.pem` beside it, in a folder that is made 0700 where it is missing.

    Raises UsageError where either file exists, FailedError where it cannot be written; then neither is left behind.
    """
    save_files(path, key.to_pem(passphrase), key.public)


def save_files(path: Path, private: bytes, public: PublicKey) -> None:
    """As `save_private`, for a private half that is bytes already (one that OpenSSH keeps)."""
    made: list[Path] = []
    public_path = path.with_name(f"{path.stem}{PUBLIC_SUFFIX}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        for file, data, mode in ((path, private, 0o600), (public_path, public.to_pem(), 0o644)):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(file, flags, mode), "wb") as out:
                made.append(file)
                own_as_folder(out.fileno(), file.parent)
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        sync_folder(path.parent)
    except OSError as error:
        for file in made:
            with contextlib.suppress(OSError):
                file.unlink()
        if isinstance(error, FileExistsError):
            raise UsageError("the key exists", thing=str(error.filename), remedy="choose another name") from None
        raise os_failure(error, path, "the key cannot be written") from None


def load_public(path: Path) -> PublicKey:
    """Read a public key's PEM. Raises UsageError naming the file: missing, not a key, or of an unsupported kind."""
    if not path.is_file():
        what = "a folder, and no key" if path.is_dir() else "no such key"
        raise UsageError(what, thing=str(path), remedy="give the file of a public key in PEM")
    try:
        return PublicKey.from_pem(read_small(path, limits.KEY_FILE))
    except MalformedError as error:
        raise UsageError(error.what, thing=str(path), remedy=error.remedy) from None


def is_encrypted(pem: bytes) -> bool:
    """Whether using a private key takes a passphrase, or its token's PIN. An SSH key that the caller's agent holds
    takes none, whatever its file is."""
    return ssh_sign.needs_secret(pem) or _ENCRYPTED in pem or cosign_key.is_cosign(pem)


def exposure(path: Path) -> str:
    """A line for whoever uses a private key whose file other accounts may read or change; "" where none may, or where
    the file holds no private key. The mode alone is looked at, not the folders above."""
    try:
        mode, data = path.stat().st_mode & 0o777, read_small(path, limits.KEY_FILE)
    except (OSError, LockgateError):
        return ""
    if not mode & 0o077 or _PRIVATE not in data:
        return ""
    return (
        f"the private key is open to other accounts (mode {mode:04o}): {path}; shut it with: chmod 600 {path}; where"
        " somebody may have copied it, make another key"
    )


def load_private(path: Path, passphrase: bytes | None) -> PrivateKey:
    """Read a private key: PKCS#8 (two of a hybrid key), cosign's form, or what OpenSSH keeps.

    Raises UsageError: no such file, a passphrase that is wrong, missing or not wanted, or no key of a supported kind.
    """
    key = open_private(path, passphrase)
    if isinstance(key, PrivateKey):
        return key
    if isinstance(key, hybrid.HybridPrivate):
        return PrivateKey(key)
    if isinstance(key, rsa.RSAPrivateKey):
        raise UsageError("RSA keys verify only", thing=str(path), remedy=f"sign with one of {', '.join(CREATABLE)}")
    if not isinstance(key, PrivateMaterial) or algorithm_of(key.public_key()) is None:
        raise UsageError("unsupported kind of key", thing=str(path), remedy=f"use one of {', '.join(CREATABLE)}")
    return PrivateKey(key)


def open_private(path: Path, passphrase: bytes | None) -> object:
    """What a private key's file holds: OpenSSH's as ours, any other as the library's, of whatever kind. Raises
    UsageError as `load_private`, but for the kind."""
    if not path.is_file():
        raise UsageError("no such key", thing=str(path), remedy="make one with: lockgate key create NAME")
    pem = read_small(path, limits.KEY_FILE)
    encrypted = is_encrypted(pem)
    if encrypted and not passphrase:
        raise UsageError(
            "the key needs its passphrase", thing=str(path), remedy="give it at the prompt or --passphrase-fd"
        )
    if passphrase and not encrypted and not ssh_sign.wants_secret(pem):
        raise UsageError(
            "a passphrase was given, and the key's file is not encrypted",
            thing=str(path),
            remedy="check that it is the right file, or give no passphrase",
        )
    if ssh_sign.is_ssh(pem):
        return SshPrivateKey(path, pem, passphrase or None)
    try:
        return _open(pem, passphrase or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        remedy = "type the passphrase again" if encrypted else "give a PKCS#8 PEM"
        what = "the passphrase does not open the key" if encrypted else "not a private key"
        if pem.lstrip().startswith(b"-----BEGIN PUBLIC KEY"):
            remedy = "it is a public key: name the private one, by its name in the key folder or its PEM"
        raise UsageError(what, thing=str(path), remedy=remedy) from None
    except LockgateError as error:
        raise UsageError(error.what, thing=f"{path} {error.thing}".rstrip(), remedy=error.remedy) from None


def _open(pem: bytes, passphrase: bytes | None) -> object:
    if cosign_key.is_cosign(pem):
        return serialization.load_der_private_key(cosign_key.open_key(pem, passphrase or b""), None)
    if pem.count(b"-----BEGIN ") == _HYBRID_BLOCKS:
        return hybrid.private_of(*(serialization.load_pem_private_key(one, passphrase) for one in hybrid.blocks(pem)))
    return serialization.load_pem_private_key(pem, passphrase)


def _unsupported() -> MalformedError:
    return MalformedError("unsupported kind of key", remedy=f"use one of {', '.join(CREATABLE)}")
