"""The datagrams of a one-way link, network byte order. Every one carries a keyed hash over all of its bytes.

| bytes | what |
|---|---|
| 4 | `LGD1` |
| 1 | kind: 1 piece of a session's head, 2 symbol, 3 end of a round |
| 3 | kind 1: piece, pieces, 0; kind 2: 0; kind 3: round, rounds, 0 |
| 8 | kind 1: the first bytes of the head's sha256; else of the session's number |
| 4 | kind 2: block; else 0 |
| 4 | kind 2: symbol (RFC 6330's ESI); else 0 |
| 16 | BLAKE2b (RFC 7693), keyed, over all the bytes before and behind it |
| ... | kind 1: the piece; kind 2: the symbol |

The key of kind 1 is that of the link: 32 bytes that both sides were given, or none. That of the others is made of it,
of the session's number and of the 32 bytes in the head, which the sending station signed.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final

HEAD: Final = 1
SYMBOL: Final = 2
END: Final = 3

_MAGIC: Final = b"LGD1"
_FRONT: Final = struct.Struct(">4sB3s8sII")
_MAC: Final = 16
SIZE: Final = _FRONT.size + _MAC
"""Bytes of a datagram before its content."""

MOST: Final = 9000
"""Bytes of a datagram at most."""


@dataclass(frozen=True, slots=True)
class Front:
    """What stands before a datagram's content; nothing of it is true before `holds` said so."""

    kind: int
    flags: bytes
    name: bytes
    block: int
    symbol: int


def make(key: bytes, kind: int, flags: bytes, name: bytes, block: int, symbol: int, content: bytes) -> bytes:
    """A datagram. `flags` are 3 bytes, `name` 8."""
    front = _FRONT.pack(_MAGIC, kind, flags, name, block, symbol)
    return front + _sum(key, front, content) + content


def read(datagram: memoryview) -> Front | None:
    """The front of a datagram, or None where it is none of ours."""
    if len(datagram) < SIZE:
        return None
    magic, kind, flags, name, block, symbol = _FRONT.unpack_from(datagram)
    if magic != _MAGIC or not HEAD <= kind <= END:
        return None
    return Front(kind, flags, name, block, symbol)


def holds(key: bytes, datagram: memoryview) -> bool:
    """Whether a datagram's keyed hash is right."""
    return hmac.compare_digest(
        _sum(key, datagram[: _FRONT.size], datagram[SIZE:]), datagram[_FRONT.size : SIZE].tobytes()
    )


def content(datagram: memoryview) -> bytes:
    """What a datagram carries."""
    return datagram[SIZE:].tobytes()


def _sum(key: bytes, front: bytes | memoryview, rest: bytes | memoryview) -> bytes:
    digest = hashlib.blake2b(front, digest_size=_MAC, key=key)
    digest.update(rest)
    return digest.digest()


def session_key(link: bytes, number: bytes, salt: bytes) -> bytes:
    """The key of a session's datagrams, from the link's key (or b""), the session's number and its signed bytes."""
    return hashlib.blake2b(number + salt, digest_size=32, key=link, person=b"lockgate.diode").digest()
