"""The fields of a tar header and the records of a pax header, read so that no other reader can take them differently.

What Go's archive/tar, GNU tar and Python's tarfile agree on is read; anything else is MalformedError
(POSIX.1-2017, pax, ustar Interchange Format and pax Header Block; GNU tar manual, Basic Tar Format).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from bundles.errors import MalformedError

BLOCK: Final = 512
ZEROS: Final = bytes(BLOCK)
OCTAL_SIZE: Final = 8**11
"""Sizes from here on do not fit a header's own field."""
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_OCTAL: Final = re.compile(rb" *+([0-7]*+) *+(?:\0.*+)?", re.DOTALL)
_LENIENT: Final = re.compile(rb"[\s\0]*+([0-7]*+)")
_RECORD: Final = re.compile(rb"([1-9][0-9]{0,9}) ")
_NO_NUL: Final = ("path", "linkpath", "uname", "gname")
XATTR: Final = "SCHILY.xattr."
_XATTRS: Final = (XATTR, "LIBARCHIVE.xattr.")
_POWER: Final = frozenset({"security.capability", "user.containers.override_stat", "user.fuseoverlayfs.override_stat"})
"""Extended attributes that give power: file capabilities, and the mode that fuse-overlayfs and containers/storage
take in place of a file's own."""
_POWER_PREFIXES: Final = ("trusted.overlay.", "user.overlay.")
"""What overlayfs takes for its own marks: redirects to other paths among them."""


def number(field: bytes) -> int:
    """A numeric field: octal digits, or base-256 with a first byte of 0x80 (GNU). Raises MalformedError."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    found = _OCTAL.fullmatch(field)
    if found is None or (not found[1] and field.strip(b" \0")):
        raise MalformedError("a layer's header holds no number", thing=repr(field)[:60])
    return int(found[1] or b"0", 8)


def text(field: bytes) -> str:
    """A text field, up to its first NUL."""
    return field.split(b"\0", 1)[0].decode(errors="backslashreplace")


def check_sum(block: bytes) -> None:
    """Whether a header's checksum holds, unsigned or signed. Raises MalformedError."""
    if not _sums(block, number(block[148:156])):
        raise MalformedError("a layer's header is damaged")


def is_header(block: bytes) -> bool:
    """Whether any reader would take a block for a tar header: by its magic, or by its checksum, as old archives have
    no magic."""
    if len(block) < BLOCK or block == ZEROS:
        return False
    if block[257:262] == b"ustar":
        return True
    field = block[148:156]
    octal = _LENIENT.match(field)
    readings = [int(octal[1], 8)] if octal and octal[1] else []
    if field[0] & 0x80:
        readings.append(int.from_bytes(field[1:], "big"))
    return any(_sums(block, reading) for reading in readings)


def _sums(block: bytes, said: int) -> bool:
    rest = block[:148] + block[156:]
    unsigned = sum(rest) + 8 * 32
    return said in (unsigned, unsigned - 256 * sum(byte >= 0x80 for byte in rest)) if said != unsigned else True


def pax_records(data: bytes) -> dict[str, str]:
    """The records of a pax header, `<length> <key>=<value>\\n` each; the last of one key counts. Raises
    MalformedError for what only some readers would pass over."""
    fields: dict[str, str] = {}
    start = 0
    while start < len(data):
        length = _RECORD.match(data, start, start + 12)
        end = start + int(length[1]) if length else 0
        if length is None or not length.end() < end <= len(data) or data[end - 1] != 0x0A:
            raise MalformedError("a pax header is damaged")
        key, equals, value = data[length.end() : end - 1].partition(b"=")
        if not key or not equals or b"\0" in key:
            raise MalformedError("a pax header is damaged")
        name = key.decode(errors="backslashreplace")
        if b"\0" in value and name in _NO_NUL:
            raise MalformedError("a pax header is damaged")
        # An attribute's value is bytes: it is kept one character a byte.
        latin = name.startswith(_XATTRS)
        fields[name] = value.decode("latin-1") if latin else value.decode(errors="backslashreplace")
        start = end
    return fields


def pax_size(value: str) -> int:
    """A pax record's size in bytes: ASCII digits, and few enough for 64 bits. Raises MalformedError."""
    if not _DIGITS.fullmatch(value):
        raise MalformedError("an entry whose size cannot be told", thing=value[:80])
    return int(value)


def powers(records: dict[str, str]) -> tuple[str, ...]:
    """The extended attributes among pax records that give a file power, by their own names."""
    found = []
    for key in records:
        for prefix in _XATTRS:
            if key.startswith(prefix) and gives_power(name := unquote(key[len(prefix) :])):
                found.append(name)
    return tuple(found)


def gives_power(name: str) -> bool:
    """Whether an extended attribute gives a file power."""
    return name in _POWER or name.startswith(_POWER_PREFIXES)
