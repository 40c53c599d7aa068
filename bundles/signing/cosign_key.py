"""cosign's private keys: scrypt and NaCl's secretbox around a PKCS#8 (`cosign generate-key-pair`).

PEM `ENCRYPTED SIGSTORE PRIVATE KEY` (older: `ENCRYPTED COSIGN PRIVATE KEY`) around a JSON object. Its cost parameters
are the file's word, so only cosign's own are taken: r = 8, p = 1, and N of 2^15, 2^16 or 2^17 (128 MiB at most).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from typing import Any, Final

from bundles import limits
from bundles.errors import MalformedError, UsageError
from bundles.io import strict_json

_LABELS: Final = (b"SIGSTORE", b"COSIGN")
_PEM: Final = re.compile(
    rb"-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)"
    rb"-----END ENCRYPTED \1 PRIVATE KEY-----\r?\n?\Z"
)
_COSTS: Final = (2**15, 2**16, 2**17)
_WRITTEN_COST: Final = 2**16
_MEMORY: Final = 256 * limits.MIB
"""What scrypt may take: 128 * r * N is 128 MiB for the largest cost, and OpenSSL counts a little more."""
_SALT, _NONCE = 32, 24


def is_cosign(pem: bytes) -> bool:
    """Whether a file is meant as one of these."""
    return any(pem.startswith(b"-----BEGIN ENCRYPTED " + label + b" PRIVATE KEY-----") for label in _LABELS)


def open_key(pem: bytes, passphrase: bytes) -> bytes:
    """The PKCS#8 DER within. Raises MalformedError for a file of another form, UsageError for a wrong passphrase."""
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    match = _PEM.match(pem)
    if match is None:
        raise MalformedError("not a cosign key", remedy="it must hold one PEM block alone")
    body = strict_json.loads(
        _unbase64(match[2]), ceiling=limits.KEY_FILE, nodes=limits.KEY_FILE_NODES, what="the cosign key"
    )
    salt, nonce, sealed, cost = _fields(body)
    secret = hashlib.scrypt(passphrase, salt=salt, n=cost, r=8, p=1, maxmem=_MEMORY, dklen=32)
    try:
        return bytes(SecretBox(secret).decrypt(sealed, nonce))
    except (CryptoError, ValueError):
        raise UsageError("the passphrase does not open the key", remedy="type the passphrase again") from None


def seal_key(pkcs8: bytes, passphrase: bytes) -> bytes:
    """A file that cosign reads."""
    from nacl.secret import SecretBox

    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    secret = hashlib.scrypt(passphrase, salt=salt, n=_WRITTEN_COST, r=8, p=1, maxmem=_MEMORY, dklen=32)
    body = {
        "kdf": {"name": "scrypt", "params": {"N": _WRITTEN_COST, "r": 8, "p": 1}, "salt": _base64(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": _base64(nonce)},
        "ciphertext": _base64(SecretBox(secret).encrypt(pkcs8, nonce).ciphertext),
    }
    text = base64.b64encode(strict_json.canonical(body))
    lines = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    label = b"ENCRYPTED SIGSTORE PRIVATE KEY"
    return b"-----BEGIN " + label + b"-----\n" + lines + b"\n-----END " + label + b"-----\n"


def _fields(body: Any) -> tuple[bytes, bytes, bytes, int]:
    try:
        kdf, cipher = body["kdf"], body["cipher"]
        params = kdf["params"]
        known = (kdf["name"], cipher["name"], params["r"], params["p"]) == ("scrypt", "nacl/secretbox", 8, 1)
        cost = params["N"]
        salt, nonce, sealed = (
            _unbase64(str(text).encode()) for text in (kdf["salt"], cipher["nonce"], body["ciphertext"])
        )
    except (KeyError, TypeError):
        raise MalformedError("a cosign key without its fields", remedy="give the file that cosign made") from None
    if not known or type(cost) is not int or cost not in _COSTS:
        raise MalformedError(
            "a cosign key sealed in an unknown way",
            thing=f"{kdf['name']} N={cost}, {cipher['name']}"[:120],
            remedy="cosign's own are scrypt with N of 32768, 65536 or 131072, r 8, p 1, and nacl/secretbox",
        )
    if len(salt) != _SALT or len(nonce) != _NONCE:
        raise MalformedError("a cosign key with a salt or nonce of another length")
    return salt, nonce, sealed, cost


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.replace(b"\r", b"").replace(b"\n", b""), validate=True)
    except binascii.Error:
        raise MalformedError("a cosign key whose base64 is damaged") from None
