"""The 7z frame of a volume, byte for byte (7zFormat.txt of the 7-Zip source; docs/internals/format.md, Volumes).

Version 0.4, one folder with the COPY coder, plain header, one substream an entry (a zero-size file is a zero-size
substream: as an "empty stream" it would read back as a folder), CRC-32 each, names bytewise, mode 0444, one time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bundles.oci.digest import Digest

START: Final = 32
"""Bytes of the start header; the first entry begins behind it."""

_FILETIME: Final = 132_000_000_000_000_000
"""The one time of every entry, 100 ns since 1601: 2019-04-17T10:40:00Z."""

_ATTRIBUTES: Final = 0x8000 | (0o100444 << 16) | 0x01
"""Unix extension, regular file, mode 0444, read-only."""


class Piece(msgspec.Struct, frozen=True):
    """A blob, or `length` bytes of one from `offset` (then `part` counts from 1). All in bytes."""

    digest: Digest
    offset: int
    length: int
    part: int | None = None

    @property
    def name(self) -> str:
        """The entry's name in the archive."""
        if self.part is None:
            return f"blobs/{self.digest.path}"
        return f"parts/{self.digest.path}/{self.part:04d}"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a volume: a piece of a stored blob, or literal bytes (oci-layout, index.json). `size` in bytes."""

    name: str
    size: int
    content: Piece | bytes

    @classmethod
    def piece(cls, piece: Piece) -> Entry:
        return cls(piece.name, piece.length, piece)

    @classmethod
    def literal(cls, name: str, data: bytes) -> Entry:
        return cls(name, len(data), data)


@dataclass(frozen=True, slots=True)
class VolumeLayout:
    """A volume, defined before it is written: each entry at its offset; `size` is the whole file's, in bytes.

    Only the CRC-32s are not yet in it: `ends` takes them, and gives the bytes before and behind the entries.
    """

    entries: tuple[Entry, ...]
    offsets: tuple[int, ...]
    size: int

    def ends(self, crcs: Sequence[int]) -> tuple[bytes, bytes]:
        """The start header (32 bytes) and the header behind the entries; `crcs` stand in the entries' order."""
        tail = _tail(self.entries, crcs)
        start = struct.pack("<QQI", self.size - len(tail) - START, len(tail), zlib.crc32(tail))
        return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start, tail


def lay_out_volume(entries: Sequence[Entry]) -> VolumeLayout:
    """Order the entries (one or more) bytewise by name and give every byte its place. Reads nothing."""
    ordered = tuple(sorted(entries, key=lambda entry: entry.name.encode()))
    frame = FrameSize()
    offsets = []
    for entry in ordered:
        offsets.append(START + frame.data)
        frame.add(entry.name, entry.size)
    return VolumeLayout(ordered, tuple(offsets), frame.size)


class FrameSize:
    """The exact size of a volume while it grows: constant work an entry, in any order."""

    __slots__ = ("_count", "_last", "_name_bytes", "_number_bytes", "data", "size")

    def __init__(self) -> None:
        self.data = 0
        """Bytes of the entries themselves."""
        self._count = self._name_bytes = self._number_bytes = 0
        self._last = ("", 0)
        self.size = self._total(0, 0, 0, 0, 0)
        """The whole file's bytes."""

    def size_with(self, name: str, size: int) -> int:
        """The whole file's bytes with one entry more."""
        return self._total(
            self._count + 1,
            self.data + size,
            self._name_bytes + _name_length(name),
            self._number_bytes + number_length(size),
            max(self._last, (name, size))[1],
        )

    def add(self, name: str, size: int, total: int | None = None) -> None:
        """Count an entry of `size` bytes in. `total` is what `size_with` said of it, where that was asked for."""
        self._count += 1
        self.data += size
        self._name_bytes += _name_length(name)
        self._number_bytes += number_length(size)
        self._last = max(self._last, (name, size))
        if total is None:
            total = self._total(self._count, self.data, self._name_bytes, self._number_bytes, self._last[1])
        self.size = total

    def room_for(self, name: str, ceiling: int) -> int:
        """The most bytes that an entry may have for the file to stay within `ceiling`; negative where it cannot."""
        length = ceiling - self.size_with(name, 0)
        while length > 0 and (excess := self.size_with(name, length) - ceiling) > 0:
            length -= excess
        return length

    @staticmethod
    def _total(count: int, data: int, name_bytes: int, number_bytes: int, last: int) -> int:
        """Mirrors `_tail`; the last entry's size is not written there."""
        long = _LENGTHS  # number_length() without the call: a plan asks for this some hundred thousand times
        sizes = 1 + number_bytes - long[last.bit_length()] if count > 1 else 0
        counted = long[count.bit_length()]
        streams = 1 + 5 + 9 + 2 * long[data.bit_length()] + 2 + counted + sizes + (2 + 4 * count) + 2
        names, times, attributes = 1 + name_bytes, 2 + 8 * count, 2 + 4 * count
        properties = 3 + names + times + attributes
        properties += long[names.bit_length()] + long[times.bit_length()] + long[attributes.bit_length()]
        return START + data + 1 + streams + 1 + counted + properties + 2


def _name_length(name: str) -> int:
    """Bytes of an entry's name (ASCII, as every name of ours) in UTF-16 with its terminator."""
    return 2 * len(name) + 2


def number(value: int) -> bytes:
    """A 7z NUMBER: the first byte's leading ones say how many bytes follow, little-endian."""
    for extra in range(8):
        if value < 1 << (7 * (extra + 1)):
            mask = 0xFF00 >> extra & 0xFF
            return bytes([mask | value >> (8 * extra)]) + (value & (1 << (8 * extra)) - 1).to_bytes(extra, "little")
    return b"\xff" + value.to_bytes(8, "little")


_LENGTHS: Final = (1, *(-(-bits // 7) for bits in range(1, 57)), *(9 for _ in range(57, 65)))
"""By bits of a value."""


def number_length(value: int) -> int:
    """Bytes of `number(value)`: seven bits a byte up to eight bytes, then nine."""
    return _LENGTHS[value.bit_length()]


def _tail(entries: Sequence[Entry], crcs: Sequence[int]) -> bytes:
    count = number(len(entries))
    total = number(sum(entry.size for entry in entries))
    pack_info = b"\x06\x00\x01\x09" + total + b"\x00"
    folder = b"\x07\x0b\x01\x00" + b"\x01\x01\x00" + b"\x0c" + total + b"\x00"
    sizes = b"\x09" + b"".join(number(entry.size) for entry in entries[:-1]) if len(entries) > 1 else b""
    checks = b"\x0a\x01" + struct.pack(f"<{len(entries)}I", *crcs)
    streams = b"\x04" + pack_info + folder + b"\x08\x0d" + count + sizes + checks + b"\x00" + b"\x00"
    names = b"\x00" + b"".join(entry.name.encode("utf-16-le") + b"\x00\x00" for entry in entries)
    times = b"\x01\x00" + struct.pack("<Q", _FILETIME) * len(entries)
    attributes = b"\x01\x00" + struct.pack("<I", _ATTRIBUTES) * len(entries)
    properties = b"".join(
        kind + number(len(data)) + data for kind, data in ((b"\x11", names), (b"\x14", times), (b"\x15", attributes))
    )
    return b"\x01" + streams + b"\x05" + count + properties + b"\x00" + b"\x00"
