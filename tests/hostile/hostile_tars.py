"""Tar archives that make a careless reader slow, each of any size."""

from __future__ import annotations

from collections.abc import Callable

from appliance.limits import archives as limits


def repeated(unit: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    """`unit` again and again, to about the size that is asked for."""
    return lambda size: before + unit * (size // len(unit)) + after


def _header(
    name: bytes = b"f", kind: bytes = b"0", size: int = 0, magic: bytes = b"ustar\x0000", prefix: bytes = b""
) -> bytes:
    """A tar header whose checksum holds. `prefix` is its name's first part."""
    numbers = b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    parts = (name.ljust(100, b"\0"), numbers, b" " * 8, kind, bytes(100), magic, bytes(80), prefix)
    head = b"".join(parts).ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _pax(record: bytes, kind: bytes = b"x") -> Callable[[int], bytes]:
    """A pax header of records of one shape, `\0` standing for a number of their own, and an entry."""

    def grow(size: int) -> bytes:
        found, length = [], 0
        for number in range(size):
            text = record.replace(b"\0", b"%x" % number)
            whole = len(text) + 2
            whole = len(text) + 1 + len(b"%d" % (whole + len(b"%d" % whole) - 1))
            found.append(b"%d %s" % (whole, text))
            length += whole
            if length > size:
                break
        data = b"".join(found)[: limits.LAYER_NAME]
        return _header(b"p", kind, len(data)) + _padded(data) + _header()

    return grow


TARS: dict[str, Callable[[int], bytes]] = {
    "entries": repeated(_header()),
    "entries without a magic": repeated(_header(magic=bytes(8), prefix=b"a")),
    "zero blocks": repeated(bytes(512)),
    "entries between zero blocks": repeated(_header() + bytes(512)),
    "damaged headers": repeated(b"\xff" * 512),
    "damaged headers behind a zero block": repeated(b"\xff" * 512, bytes(512)),
    "long names": repeated(_header(b"L", b"L", 512) + b"n" * 512 + _header()),
    "long names of one entry": repeated(_header(b"L", b"L", 512) + b"n" * 512),
    "extended headers of one entry": repeated(_header(b"p", b"x", 14) + _padded(b"14 path=aaaaa\n")),
    "global headers": repeated(_header(b"g", b"g", 14) + _padded(b"14 path=aaaaa\n")),
    "sparse extensions": repeated(b"\x01" * 512, _header(b"s", b"S", magic=b"ustar  \0")[:482] + b"\x01" + bytes(29)),
    "pax: many keys": _pax(b"a\0=b\n"),
    "pax: one key": _pax(b"path=a\n"),
    "pax: many attributes": _pax(b"SCHILY.xattr.user.overlay.\0=b\n"),
    "pax: escapes": _pax(b"LIBARCHIVE.xattr.%61%\0=b\n"),
    "pax: global": _pax(b"a\0=b\n", b"g"),
    "pax: one long value": lambda size: (
        _header(b"p", b"x", size) + _padded(b"%d path=" % size + b"a" * size)[: size + 512]
    ),
    "pax: digits": lambda size: _header(b"p", b"x", size) + _padded(b"9" * size) + _header(),
}
