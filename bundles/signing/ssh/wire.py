"""The wire forms that OpenSSH's keys and signatures are made of (RFC 4251, section 5), read strictly.

Every reader here is exact: what is read and written again gives the same bytes, or the reader refuses.
"""

from __future__ import annotations

import struct
from typing import Final

from bundles.errors import MalformedError

_LENGTH: Final = struct.Struct(">I")


class Reader:
    """Takes values off the front of bytes. Every method raises MalformedError where they do not suffice."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._at, self._what = data, 0, what

    def raw(self, length: int) -> bytes:
        """The next `length` bytes."""
        if length > len(self._data) - self._at:
            raise MalformedError(f"{self._what} ends early")
        taken = self._data[self._at : self._at + length]
        self._at += length
        return taken

    def uint32(self) -> int:
        """A number of four bytes."""
        number: int = _LENGTH.unpack(self.raw(4))[0]
        return number

    def string(self) -> bytes:
        """Bytes behind their length."""
        return self.raw(self.uint32())

    def mpint(self) -> int:
        """A positive integer in its one form: no leading zeros but the one that keeps it positive."""
        raw = self.string()
        number = int.from_bytes(raw, "big", signed=True)
        if number <= 0 or mpint(number) != string(raw):
            raise MalformedError(f"{self._what} holds a number that is not in its one form")
        return number

    def end(self) -> None:
        """Nothing may follow."""
        if self._at != len(self._data):
            raise MalformedError(f"{self._what} has bytes behind its end")


def string(data: bytes) -> bytes:
    """`data` behind its length."""
    return _LENGTH.pack(len(data)) + data


def mpint(number: int) -> bytes:
    """A positive integer as RFC 4251 writes it."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
