"""A 7z archive of some KB whose compressed header unpacks to many MiB."""

from __future__ import annotations

import lzma
import struct
import zlib

from bundles.format.volume_frame import number


def packed_header(unpacked: int, files: int = 1) -> bytes:
    """An archive whose header of `unpacked` bytes lists `files` entries and is padding else."""
    head = b"\x01\x05" + number(files) + b"\x19" + number(unpacked - 64)
    header = head + bytes(unpacked - 64) + b"\0\0"
    packed = lzma.compress(
        header, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    )
    folder = number(1) + b"\0" + number(1) + b"\x21\x21\x01\x10\x0c" + number(len(header))
    encoded = b"\x17\x06\0" + number(1) + b"\x09" + number(len(packed)) + b"\0\x07\x0b" + folder
    encoded += b"\x0a\x01" + struct.pack("<I", zlib.crc32(header)) + b"\0\0"
    start = struct.pack("<QQI", len(packed), len(encoded), zlib.crc32(encoded))
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start + packed + encoded
