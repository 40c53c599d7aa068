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

from bundles.oci.digest import Digest

START: Final = 32
"""Bytes of the start header; the first entry begins behind it."""

_FILETIME: Final = 132_000_000_000_000_000
"""The one time of every entry, 100 ns since 1601: 2019-04-17T10:40:00Z."""

_ATTRIBUTES: Final = 0x8000 | (0o100444 << 16) | 0x01
"""Unix extension, regular file, mode 0444, read-only."""

_TAIL_FIXED: Final = 128
_ENTRY_FIXED: Final = 8 + 4 + 4 + 9 + 2
"""Time, attributes, CRC-32, the longest size number, and the name's terminator."""


@dataclass(frozen=True, slots=True)
class Piece:
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
    """An entry of a volume: a piece of a stored blob, or literal bytes (oci-layout, index.json)."""

    name: str
    size: int
    crc32: int
    content: Piece | bytes

    @classmethod
    def literal(cls, name: str, data: bytes) -> Entry:
        return cls(name, len(data), zlib.crc32(data), data)


@dataclass(frozen=True, slots=True)
class VolumeLayout:
    """A volume, defined before it is written: `head`, each entry at its offset, `tail`; `size` is the file's."""

    entries: tuple[Entry, ...]
    offsets: tuple[int, ...]
    head: bytes
    tail: bytes
    size: int


def lay_out_volume(entries: Sequence[Entry]) -> VolumeLayout:
    """Order the entries bytewise by name and give every byte its place. Reads nothing."""
    ordered = tuple(sorted(entries, key=lambda entry: entry.name.encode()))
    offsets = []
    position = START
    for entry in ordered:
        offsets.append(position)
        position += entry.size
    tail = _tail(ordered)
    start = struct.pack("<QQI", position - START, len(tail), zlib.crc32(tail))
    head = b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start
    return VolumeLayout(ordered, tuple(offsets), head, tail, position + len(tail))


def entry_overhead(name: str) -> int:
    """An upper bound of what an entry adds to a volume beside its bytes."""
    return 2 * len(name) + _ENTRY_FIXED


def volume_overhead() -> int:
    """An upper bound of what a volume without entries takes."""
    return START + _TAIL_FIXED


def number(value: int) -> bytes:
    """A 7z NUMBER: the first byte's leading ones say how many bytes follow, little-endian."""
    for extra in range(8):
        if value < 1 << (7 * (extra + 1)):
            mask = 0xFF00 >> extra & 0xFF
            return bytes([mask | value >> (8 * extra)]) + (value & (1 << (8 * extra)) - 1).to_bytes(extra, "little")
    return b"\xff" + value.to_bytes(8, "little")


def _tail(entries: Sequence[Entry]) -> bytes:
    count = number(len(entries))
    total = number(sum(entry.size for entry in entries))
    pack_info = b"\x06\x00\x01\x09" + total + b"\x00"
    folder = b"\x07\x0b\x01\x00" + b"\x01\x01\x00" + b"\x0c" + total + b"\x00"
    sizes = b"\x09" + b"".join(number(entry.size) for entry in entries[:-1]) if len(entries) > 1 else b""
    crcs = b"\x0a\x01" + b"".join(struct.pack("<I", entry.crc32) for entry in entries)
    streams = b"\x04" + pack_info + folder + b"\x08\x0d" + count + sizes + crcs + b"\x00" + b"\x00"
    names = b"\x00" + b"".join(entry.name.encode("utf-16-le") + b"\x00\x00" for entry in entries)
    times = b"\x01\x00" + struct.pack("<Q", _FILETIME) * len(entries)
    attributes = b"\x01\x00" + struct.pack("<I", _ATTRIBUTES) * len(entries)
    properties = b"".join(
        kind + number(len(data)) + data for kind, data in ((b"\x11", names), (b"\x14", times), (b"\x15", attributes))
    )
    return b"\x01" + streams + b"\x05" + count + properties + b"\x00" + b"\x00"
