"""By which a station knows again what it loaded of advisories: sums of rows, in buckets under its key (docs/adr/0059).

Each row has a place, which is what it is looked up by, and a sum over what it says. The rows of a load are sorted by
their places into buckets of some 32, each sealed with its number: whoever looks something up reads one bucket, and
knows every row that stands there, or that none does. The source's seal holds the load's salt, which no other load has,
and how many buckets there are; the seal of the list holds the sources.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from appliance.advisories.exploitation import Rating
from appliance.advisories.vex.statements import Statement

_PLACE: Final = 12
_SUM: Final = 20
_RECORD: Final = _PLACE + _SUM
_IN_BUCKET: Final = 32
_BITS_MOST: Final = 16
_FIRST: Final = 8
"""Bits by which rows are sorted as they come."""
_encode: Final = msgspec.msgpack.encode


def _digest(said: Sequence[Any], size: int) -> bytes:
    return hashlib.sha256(_encode(said)).digest()[:size]


def entry_place(ecosystem: str, name: str) -> bytes:
    """Where entries about a package stand: by its ecosystem without release, and its name as it is looked up."""
    return _digest(("entry", ecosystem, name), _PLACE)


def id_place(name: str) -> bytes:
    """Where entries stand by one of their ids."""
    return _digest(("id", name), _PLACE)


def statement_place(name: str, key: str) -> bytes:
    """Where VEX statements about a vulnerability stand, by the key that they are looked up by."""
    return _digest(("vex", name, key), _PLACE)


def rating_place(name: str) -> bytes:
    """Where the KEV catalogue's or EPSS's word of a vulnerability stands."""
    return _digest(("rating", name), _PLACE)


def entry_sum(raw: bytes) -> bytes:
    """Of an encoded entry."""
    return _digest(("entry", raw), _SUM)


def statement_sum(statement: Statement) -> bytes:
    """Of a VEX statement."""
    return _digest(("vex", *statement), _SUM)


def rating_sum(rating: Rating) -> bytes:
    """Of a line of the KEV catalogue or of EPSS."""
    return _digest(("rating", rating.id, rating.since, None if rating.score is None else float(rating.score)), _SUM)


class NewsSum:
    """The sum of rows in no order: of a load's news, which are read all at once."""

    def __init__(self) -> None:
        self._rows = set[bytes]()

    def add(self, row: Sequence[Any]) -> None:
        """Add a row; twice is once."""
        self._rows.add(_digest(row, _SUM))

    def text(self) -> str:
        """The sum in hex."""
        return hashlib.sha256(b"".join(sorted(self._rows))).hexdigest()


class Sums:
    """The rows of a load, as they come: some 32 bytes of memory each."""

    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(1 << _FIRST)]
        self.salt = secrets.token_hex(16)

    def add(self, place: bytes, row: bytes) -> None:
        """Add a row by its place and its sum."""
        self._parts[place[0]] += place + row

    @property
    def bits(self) -> int:
        """How many bits of a place say which bucket it is in."""
        rows = sum(map(len, self._parts)) // _RECORD
        return min(_BITS_MOST, (rows // _IN_BUCKET).bit_length())

    def buckets(self) -> Iterator[bytes]:
        """What each bucket holds, in their order: its records, sorted."""
        bits = self.bits
        if bits <= _FIRST:
            step = 1 << (_FIRST - bits)
            for start in range(0, 1 << _FIRST, step):
                yield b"".join(_sorted(b"".join(self._parts[start : start + step])))
            return
        for part in self._parts:
            found: list[list[bytes]] = [[] for _ in range(1 << (bits - _FIRST))]
            for record in _sorted(part):
                found[bucket_of(record, bits) & (len(found) - 1)].append(record)
            yield from map(b"".join, found)


def _sorted(records: bytes | bytearray) -> list[bytes]:
    raw = bytes(records)
    return sorted(raw[start : start + _RECORD] for start in range(0, len(raw), _RECORD))


def bucket_of(place: bytes, bits: int) -> int:
    """The number of the bucket that a place is in."""
    return int.from_bytes(place[:2], "big") >> (_BITS_MOST - bits)


def sums_at(bucket: bytes, place: bytes) -> list[bytes]:
    """The sums of the rows at a place, sorted."""
    found, start = list[bytes](), bucket.find(place)
    while start >= 0:
        if start % _RECORD == 0:
            found.append(bucket[start + _PLACE : start + _RECORD])
        start = bucket.find(place, start + 1)
    return found


def bucket_seal(key: bytes, salt: str, number: int, records: bytes) -> str:
    """The seal of a bucket, HMAC-SHA256 in hex."""
    return hmac.digest(key, _encode(("advisory_sums", salt, number, records)), "sha256").hex()


def source_seal(key: bytes, fields: Sequence[Any], ecosystems: Iterable[tuple[str, int]]) -> str:
    """The seal of a source's row; `fields` are its columns but the seal, as `SEALED_FIELDS` of the store has them."""
    return hmac.digest(key, _encode(("advisory_sources", tuple(fields), sorted(ecosystems))), "sha256").hex()


def list_seal(key: bytes, sources: str) -> str:
    """The seal of the list of sources, as the text that is stored."""
    return hmac.digest(key, _encode(("advisory_list", sources)), "sha256").hex()


def list_text(sources: dict[str, str]) -> str:
    """The list as it is stored: each source's salt by its name."""
    return msgspec.json.encode(dict(sorted(sources.items()))).decode()


def read_list(text: str) -> dict[str, str]:
    """The list; empty for what is none."""
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        return {}
