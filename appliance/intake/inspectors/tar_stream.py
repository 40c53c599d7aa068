"""A tar archive read as a stream of headers: nothing is unpacked, and nothing in it decides how much is held.

Old tar, ustar, GNU long names and pax paths (POSIX.1-2017, pax), which is what image layers are written in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance import limits
from bundles.errors import MalformedError

_BLOCK: Final = 512
_SKIP: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """An entry's header. `kind` is tar's type: 0 a file, 1 a hard link, 2 a symbolic link, 3 and 4 devices."""

    name: str
    mode: int
    size: int
    kind: str
    target: str


def members(read: Callable[[int], bytes]) -> Iterator[Member]:
    """Every entry of the archive that `read(n)` gives (fewer than n bytes only at its end). Raises MalformedError."""
    long_name = long_target = ""
    seen = 0
    while True:
        block = read(_BLOCK)
        if not block or not block.strip(b"\0"):
            return
        if len(block) < _BLOCK:
            raise MalformedError("a layer ends in the middle of a header")
        seen += 1
        if seen > limits.LAYER_ENTRIES:
            raise MalformedError("a layer has too many entries", thing=str(seen))
        _check_sum(block)
        size, kind = _number(block[124:136]), chr(block[156]) if block[156] else "0"
        if kind in "xgLK":
            text = _content(read, size)
            if kind == "x":
                fields = _pax(text)
                long_name, long_target = fields.get("path", long_name), fields.get("linkpath", long_target)
                if "size" in fields:
                    raise MalformedError("a layer whose entries' sizes stand in pax headers")
            elif kind == "L":
                long_name = _text(text)
            elif kind == "K":
                long_target = _text(text)
            continue
        prefix = _text(block[345:500]) if block[257:262] == b"ustar" and block[263:265] == b"00" else ""
        name = long_name or (f"{prefix}/" if prefix else "") + _text(block[:100])
        yield Member(name, _number(block[100:108]), size, kind, long_target or _text(block[157:257]))
        long_name = long_target = ""
        _skip(read, -(-size // _BLOCK) * _BLOCK if kind not in "123456" else 0)


def _check_sum(block: bytes) -> None:
    if _number(block[148:156]) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
        raise MalformedError("a layer's header is damaged")


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    text = field.split(b"\0")[0].strip()
    try:
        return int(text or b"0", 8)
    except ValueError:
        raise MalformedError("a layer's header holds no number", thing=repr(text)[:40]) from None


def _content(read: Callable[[int], bytes], size: int) -> bytes:
    if size > limits.LAYER_NAME:
        raise MalformedError("a name in a layer is too long", thing=f"{size} bytes")
    data = read(-(-size // _BLOCK) * _BLOCK)
    if len(data) < size:
        raise MalformedError("a layer ends in the middle of a name")
    return data[:size]


def _pax(data: bytes) -> dict[str, str]:
    fields = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) + 2 <= int(length) <= len(data):
            raise MalformedError("a pax header is damaged")
        name, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        fields[name.decode(errors="backslashreplace")] = value.decode(errors="backslashreplace")
        data = data[int(length) :]
    return fields


def _skip(read: Callable[[int], bytes], count: int) -> None:
    while count:
        got = len(read(min(count, _SKIP)))
        if not got:
            raise MalformedError("a layer ends in the middle of a file")
        count -= got


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="backslashreplace")
