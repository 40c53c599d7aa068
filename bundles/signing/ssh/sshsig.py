"""SSH signatures in files (OpenSSH's PROTOCOL.sshsig), as `ssh-keygen -Y sign -n lockgate` makes them.

Everything in one has one form: the armour's lines, the fields, the numbers. It is taken apart, put together again,
and must give the same bytes. The key within must be the pinned one, and decides nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from bundles import limits
from bundles.errors import MalformedError
from bundles.signing.ssh import keys
from bundles.signing.ssh.wire import Reader, string

NAMESPACE: Final = "lockgate"
"""What a signature is for (`ssh-keygen -n`): one made for files, mail or commits is none of ours."""
BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----\n"
_END: Final = b"-----END SSH SIGNATURE-----\n"
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_WIDTH: Final = 70
_HASHES: Final = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class SshSignature:
    """The fields of a signature: the key's blob, the namespace, the message's hash, and the SSH signature's blob."""

    key: bytes
    namespace: bytes
    hash_name: bytes
    signature: bytes

    def signed(self, data: bytes) -> bytes:
        """What the key signed where the message is `data`."""
        digest = _HASHES[self.hash_name](data).digest()
        return _MAGIC + string(self.namespace) + string(b"") + string(self.hash_name) + string(digest)

    def render(self) -> bytes:
        """The file's one form."""
        version = _VERSION.to_bytes(4, "big")
        fields = (self.key, self.namespace, b"", self.hash_name, self.signature)
        text = base64.b64encode(_MAGIC + version + b"".join(map(string, fields)))
        lines = [text[start : start + _WIDTH] + b"\n" for start in range(0, len(text), _WIDTH)]
        return BEGIN + b"".join(lines) + _END


def parse(data: bytes) -> SshSignature:
    """The signature in a file's bytes. Raises MalformedError for anything but its one form."""
    if len(data) > limits.SIGNATURE_FILE:
        raise MalformedError("the SSH signature is too large", thing=f"{len(data)} bytes")
    if not data.startswith(BEGIN) or not data.endswith(_END):
        raise MalformedError("not an SSH signature")
    try:
        raw = base64.b64decode(data[len(BEGIN) : -len(_END)].replace(b"\n", b""), validate=True)
    except binascii.Error:
        raise MalformedError("an SSH signature whose base64 is damaged") from None
    reader = Reader(raw, "the SSH signature")
    if reader.raw(len(_MAGIC)) != _MAGIC or reader.uint32() != _VERSION:
        raise MalformedError("not an SSH signature of version 1")
    key, namespace, reserved, name, signature = (reader.string() for _ in range(5))
    reader.end()
    if reserved or name not in _HASHES:
        raise MalformedError("an SSH signature with an unknown hash or reserved bytes")
    found = SshSignature(key, namespace, name, signature)
    if found.render() != data:
        raise MalformedError("an SSH signature that is not in its one form")
    return found


def holds(blob: bytes, data: bytes, signature: bytes) -> bool:
    """Whether a signature file is by the key of `blob`, over `data`, in our namespace and in its one form."""
    try:
        found = parse(signature)
        if found.key != blob or found.namespace != NAMESPACE.encode():
            return False
        return keys.signature_holds(keys.parse_blob(blob), found.signed(data), found.signature)
    except MalformedError:
        return False
