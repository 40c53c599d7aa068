"""OpenSSH's public keys, plain ones and those that live on FIDO tokens, and the signatures they make.

| algorithm | key | signature |
|---|---|---|
| `ssh-ed25519` | 32 bytes (RFC 8709) | 64 bytes |
| `ecdsa-sha2-nistp256`, `-nistp384` | a point (RFC 5656) | mpint r, mpint s |
| `ssh-rsa` | mpint e, mpint n (RFC 4253) | PKCS#1 v1.5, SHA-512 or SHA-256 (RFC 8332); verified only |
| `sk-ssh-ed25519@openssh.com`, `sk-ecdsa-sha2-nistp256@openssh.com` | application behind | flags, counter behind |

The last two are PROTOCOL.u2f's. A key's bytes are OpenSSH's own blob, so its fingerprint is the one that
`ssh-keygen -l` shows, in hex. A token signs
only after a touch: a signature without the flag that says so does not count.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bundles import limits
from bundles.errors import MalformedError
from bundles.signing.ssh.wire import Reader, string

ED25519: Final = "ssh-ed25519"
RSA: Final = "ssh-rsa"
SK_ED25519: Final = "sk-ssh-ed25519@openssh.com"
SK_ECDSA: Final = "sk-ecdsa-sha2-nistp256@openssh.com"
_P256: Final = "ecdsa-sha2-nistp256"
_CURVES: Final[dict[str, tuple[bytes, type[ec.EllipticCurve], type[hashes.HashAlgorithm]]]] = {
    _P256: (b"nistp256", ec.SECP256R1, hashes.SHA256),
    "ecdsa-sha2-nistp384": (b"nistp384", ec.SECP384R1, hashes.SHA384),
    SK_ECDSA: (b"nistp256", ec.SECP256R1, hashes.SHA256),
}
_RSA_HASHES: Final[dict[bytes, type[hashes.HashAlgorithm]]] = {
    b"rsa-sha2-512": hashes.SHA512,
    b"rsa-sha2-256": hashes.SHA256,
}
TOKENS: Final = (SK_ED25519, SK_ECDSA)
ALGORITHMS: Final = (ED25519, _P256, "ecdsa-sha2-nistp384", RSA, *TOKENS)
_ED25519_LENGTH: Final = 64
_USER_PRESENT: Final = 0x01
_LINE: Final = re.compile(rb"([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?\r?\n?\Z")

_Key = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class SshKey:
    """A public key read from its blob; `application` is a token's, `ssh:` as a rule, and empty for a plain key."""

    algorithm: str
    key: _Key
    application: bytes


def is_line(data: bytes) -> bool:
    """Whether this is meant as a public key in OpenSSH's form."""
    return data.split(b" ", 1)[0].decode("ascii", "replace") in ALGORITHMS


def parse_line(data: bytes) -> bytes:
    """The blob of a public key's line (`ALGORITHM BASE64 [COMMENT]`), checked. Raises MalformedError."""
    match = _LINE.match(data)
    if match is None:
        raise MalformedError("not a public key in OpenSSH's form", remedy="give one line: ALGORITHM BASE64")
    try:
        blob = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        raise MalformedError("not a public key in OpenSSH's form", remedy="its base64 is damaged") from None
    if base64.b64encode(blob) != match[2] or parse_blob(blob).algorithm.encode() != match[1]:
        raise MalformedError("a public key file with bytes of its own", remedy="it must hold one OpenSSH key alone")
    return blob


def render_line(blob: bytes) -> bytes:
    """The line of a blob, without a comment."""
    return parse_blob(blob).algorithm.encode() + b" " + base64.b64encode(blob) + b"\n"


def parse_blob(blob: bytes) -> SshKey:
    """A public key from OpenSSH's blob. Raises MalformedError: of an unsupported kind, weak, or not in its one form."""
    reader = Reader(blob, "the SSH key")
    algorithm = reader.string().decode("ascii", "replace")
    try:
        key: _Key
        if algorithm in (ED25519, SK_ED25519):
            key = ed25519.Ed25519PublicKey.from_public_bytes(reader.string())
        elif algorithm in _CURVES:
            key = _read_point(reader, algorithm)
        elif algorithm == RSA:
            exponent, modulus = reader.mpint(), reader.mpint()
            key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
            if not limits.RSA_BITS_LEAST <= key.key_size <= limits.RSA_BITS_MOST:
                raise MalformedError("an RSA key of a size that is not taken", thing=f"{key.key_size} bits")
        else:
            raise MalformedError("unsupported kind of SSH key", thing=repr(algorithm)[:60])
    except ValueError:
        raise MalformedError("not a point or number of its kind of key", thing=algorithm) from None
    application = reader.string() if algorithm in TOKENS else b""
    reader.end()
    return SshKey(algorithm, key, application)


def _read_point(reader: Reader, algorithm: str) -> ec.EllipticCurvePublicKey:
    name, curve, _ = _CURVES[algorithm]
    point = Reader(string(reader.string()) + string(reader.string()), "the SSH key")
    if point.string() != name:
        raise MalformedError("the SSH key names another curve")
    encoded = point.string()
    if encoded[:1] != b"\x04":
        raise MalformedError("the SSH key's point is not in its one form")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve(), encoded)


def signature_holds(ssh: SshKey, data: bytes, signature: bytes) -> bool:
    """Whether an SSH signature blob is the key's over `data`. Raises MalformedError where it is not in its form."""
    reader = Reader(signature, "the SSH signature")
    kind, raw = reader.string(), reader.string()
    if ssh.algorithm in TOKENS:
        flags, counter = reader.raw(1), reader.raw(4)
        if not flags[0] & _USER_PRESENT:
            return False
        data = hashlib.sha256(ssh.application).digest() + flags + counter + hashlib.sha256(data).digest()
    reader.end()
    try:
        if isinstance(ssh.key, rsa.RSAPublicKey):
            return _rsa_holds(ssh.key, kind, data, raw)
        return kind == ssh.algorithm.encode() and _curve_holds(ssh, ssh.key, data, raw)
    except InvalidSignature:
        return False


def _rsa_holds(key: rsa.RSAPublicKey, kind: bytes, data: bytes, raw: bytes) -> bool:
    if kind not in _RSA_HASHES or len(raw) != (key.key_size + 7) // 8:
        return False
    key.verify(raw, data, padding.PKCS1v15(), _RSA_HASHES[kind]())
    return True


def _curve_holds(
    ssh: SshKey, key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey, data: bytes, raw: bytes
) -> bool:
    if isinstance(key, ed25519.Ed25519PublicKey):
        if len(raw) != _ED25519_LENGTH:
            return False
        key.verify(raw, data)
        return True
    numbers = Reader(raw, "the SSH signature")
    r, s = numbers.mpint(), numbers.mpint()
    numbers.end()
    key.verify(encode_dss_signature(r, s), data, ec.ECDSA(_CURVES[ssh.algorithm][2]()))
    return True
