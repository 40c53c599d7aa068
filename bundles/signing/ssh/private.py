"""What a private key's file tells before it is opened (OpenSSH's PROTOCOL.key), and the agent that may hold the key.

Cipher and public half stand in the clear. A token's file holds no private key, only what the token finds it by, and
says whether the token wants its PIN (PROTOCOL.u2f).
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from typing import Final

from bundles.errors import MalformedError
from bundles.processes import start
from bundles.signing.ssh import keys
from bundles.signing.ssh.wire import Reader

BEGIN: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_END: Final = b"-----END OPENSSH PRIVATE KEY-----"
_MAGIC: Final = b"openssh-key-v1\0"
_PIN_WANTED: Final = 0x04
"""SSH_SK_USER_VERIFICATION_REQD of a token's flags."""

_PATIENCE: Final = 10
"""Seconds for the agent to list its keys."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A private key's file, unopened. `blob`: its public half; `encrypted`: under a passphrase; `pin`: a token that
    asks for its PIN each time, as far as the file can be read."""

    blob: bytes
    encrypted: bool
    pin: bool


def is_private(data: bytes) -> bool:
    """Whether this is meant as a private key in OpenSSH's form."""
    return data.startswith(BEGIN)


def parse(data: bytes) -> Sealed:
    """Read the clear part. Raises MalformedError: not in OpenSSH's form, or of a kind that is not supported."""
    body, end, _ = data.removeprefix(BEGIN).partition(_END)
    try:
        raw = base64.b64decode(b"".join(body.split()), validate=True) if end else b""
    except binascii.Error:
        raw = b""
    if not raw.startswith(_MAGIC):
        raise MalformedError("not a private key in OpenSSH's form", remedy="give the file that ssh-keygen made")
    reader = Reader(raw[len(_MAGIC) :], "a private key's file")
    encrypted = reader.string() != b"none"
    reader.string()  # the name of the key derivation
    reader.string()  # its options
    if reader.uint32() != 1:
        raise MalformedError("a file with more than one private key", remedy="give each key its own file")
    blob = reader.string()
    algorithm = keys.parse_blob(blob).algorithm
    return Sealed(blob, encrypted, not encrypted and algorithm in keys.TOKENS and _wants_pin(reader.string()))


def _wants_pin(private: bytes) -> bool:
    reader = Reader(private, "a token's file")
    reader.raw(8)  # the same number twice, which tells a right passphrase
    if reader.string().decode("ascii", "replace") == keys.SK_ECDSA:
        reader.string()  # the curve
    reader.string()  # the public key
    reader.string()  # the application
    return bool(reader.raw(1)[0] & _PIN_WANTED)


def agent_holds(blob: bytes) -> bool:
    """Whether the caller's agent signs with this key, so that nobody needs its passphrase."""
    program = start.find_program("ssh-add") if "SSH_AUTH_SOCK" in os.environ else None
    if program is None:
        return False
    listed = start.run([program, "-L"], env=start.environment("SSH_AUTH_SOCK"), timeout=_PATIENCE)
    line = base64.b64encode(blob)
    return listed is not None and any(line in one.split() for one in listed.stdout.splitlines())
