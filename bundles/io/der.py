"""DER (ITU-T X.690, section 10), the little of it that CMS needs: strict, linear, no deeper than its caller goes.

One value has one encoding: lengths are definite and as short as they can be, tags of one byte. What BER allows beside
is refused, so that nobody can write a signature in another way that still holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bundles.errors import MalformedError

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTETS: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
SEQUENCE: Final = 0x30
SET: Final = 0x31
CONTEXT_0: Final = 0xA0
CONTEXT_1: Final = 0xA1
"""Tags. The last two are constructed and implicit or explicit, as the structure has it."""

_SHORT: Final = 0x80
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Element:
    """A value: its tag, its content, and the bytes of both."""

    tag: int
    content: bytes
    raw: bytes


class Reader:
    """The values within some bytes, one after another."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def tag(self) -> int | None:
        """The next value's tag, None at the end."""
        return self._data[self._at] if self._at < len(self._data) else None

    def read(self, tag: int, what: str) -> Element:
        """The next value, which has this tag. Raises MalformedError naming `what`."""
        data, start = self._data, self._at
        if self.tag != tag or start + 2 > len(data):
            raise _malformed(what)
        length, begin = data[start + 1], start + 2
        if length >= _SHORT:
            count = length - _SHORT
            end = begin + count
            if not 1 <= count <= _LENGTH_BYTES or end > len(data):
                raise _malformed(what)
            length = int.from_bytes(data[begin:end], "big")
            if length < _SHORT or data[begin] == 0:
                raise _malformed(what)
            begin = end
        if begin + length > len(data):
            raise _malformed(what)
        self._at = begin + length
        return Element(tag, data[begin : self._at], data[start : self._at])

    def inside(self, tag: int, what: str) -> Reader:
        """A reader of the next value's content."""
        return Reader(self.read(tag, what).content)

    def end(self, what: str) -> None:
        """Raises MalformedError where something is left."""
        if self._at != len(self._data):
            raise MalformedError(f"{what} has bytes of its own behind it")


def encode(tag: int, *contents: bytes) -> bytes:
    """A value with this content."""
    content = b"".join(contents)
    if len(content) < _SHORT:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT + len(length))) + length + content


def encode_set(values: Iterable[bytes]) -> bytes:
    """A SET OF: its values ascend (X.690, section 11.6)."""
    return encode(SET, *sorted(values))


def encode_oid(dotted: str) -> bytes:
    """An object identifier."""
    first, second, *others = map(int, dotted.split("."))
    content = b""
    for arc in (first * 40 + second, *others):
        part = bytes((arc & 0x7F,))
        while arc := arc >> 7:
            part = bytes((arc & 0x7F | _SHORT,)) + part
        content += part
    return encode(OID, content)


def encode_small(value: int) -> bytes:
    """An INTEGER from 0 to 127."""
    return encode(INTEGER, bytes((value,)))


def _malformed(what: str) -> MalformedError:
    return MalformedError(f"{what} is not DER", remedy="have it made anew")
