"""Rows of tags and links as the bytes that stand in the database, and what one flipped bit in them says.

CRC-32 tells which single bit of a row this short is another one: all errors of up to three bits have sums that differ
from each other's by more than that (Koopman, "32-Bit Cyclic Redundancy Codes for Internet Applications", 2002: Hamming
distance 4 up to 91,607 bits). So a row that one flip explains is what it was before, and any other one is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from zlib import crc32

import msgspec

Fields = tuple[bytes, bytes, bytes]
"""What a row says itself, beside the repository."""

_BITS: Final = 64
"""Bits of a repository's number in a row."""


class RawTag(msgspec.Struct, frozen=True, array_like=True):
    """A tag's row; `name` is the repository's, empty where none has that number."""

    repository: int
    name: bytes
    tag: bytes
    digest: bytes
    updated: bytes
    checksum: int | None

    @property
    def right(self) -> bool | None:
        """Whether it is what was written; None without a checksum."""
        return None if self.checksum is None else sum_of(b"tag", self.name, *self.fields) == self.checksum

    @property
    def fields(self) -> Fields:
        """What the row says itself."""
        return self.tag, self.digest, self.updated

    def with_fields(self, repository: int, name: bytes, fields: Fields) -> RawTag:
        """The same row, saying that, with the checksum for it."""
        return RawTag(repository, name, *fields, sum_of(b"tag", name, *fields))


class RawLink(msgspec.Struct, frozen=True, array_like=True):
    """A link's row, as RawTag."""

    repository: int
    name: bytes
    digest: bytes
    kind: bytes
    created: bytes
    checksum: int | None

    @property
    def right(self) -> bool | None:
        """As RawTag.right."""
        return None if self.checksum is None else sum_of(b"link", self.name, *self.fields) == self.checksum

    @property
    def fields(self) -> Fields:
        """As RawTag.fields."""
        return self.digest, self.kind, self.created

    def with_fields(self, repository: int, name: bytes, fields: Fields) -> RawLink:
        """As RawTag.with_fields."""
        return RawLink(repository, name, *fields, sum_of(b"link", name, *fields))


RawRow = RawTag | RawLink


def sum_of(*fields: bytes) -> int:
    """The checksum of a row's fields (appliance.store.rows has the same over texts)."""
    return crc32(b"\n".join(fields))


def unflipped(row: RawRow, repositories: Mapping[int, bytes]) -> RawRow | None:
    """The row before one of its bits flipped: of a field, of the checksum, or of the repository's number; None where no
    flip explains it, or more than one would. `repositories` are the names by number. A thousand sums for a row."""
    found = list(_unflipped(row, repositories))
    return found[0] if len(found) == 1 else None


def _unflipped(row: RawRow, repositories: Mapping[int, bytes]) -> Iterator[RawRow]:
    word = b"tag" if isinstance(row, RawTag) else b"link"
    checksum = row.checksum or 0
    begun = crc32(word + b"\n" + row.name + b"\n")
    said = b"\n".join(row.fields)
    if row.name:
        if (crc32(said, begun) ^ checksum).bit_count() == 1:
            yield row.with_fields(row.repository, row.name, row.fields)
        ends = _ends(row.fields)
        flipped = bytearray(said)
        for place in range(len(said)):
            if place in ends:  # between two fields
                continue
            for bit in range(8):
                flipped[place] ^= 1 << bit
                if crc32(flipped, begun) == checksum:
                    yield row.with_fields(row.repository, row.name, _split(bytes(flipped), row.fields))
                flipped[place] ^= 1 << bit
    for bit in range(_BITS - 1):
        repository = row.repository ^ (1 << bit)
        name = repositories.get(repository)
        if name is not None and sum_of(word, name, *row.fields) == checksum:
            yield row.with_fields(repository, name, row.fields)


def _ends(fields: Fields) -> set[int]:
    """Where the separators stand between fields that are joined."""
    found, place = set(), -1
    for field in fields[:-1]:
        place += len(field) + 1
        found.add(place)
    return found


def _split(joined: bytes, like: Fields) -> Fields:
    """Fields of the lengths of others."""
    first, second = len(like[0]) + 1, len(like[0]) + len(like[1]) + 2
    return joined[: first - 1], joined[first : second - 1], joined[second:]


def unflipped_name(name: bytes, rows: Sequence[RawRow]) -> bytes | None:
    """A repository's name before one of its bits flipped, where every row of the repository then has its checksum; None
    where no flip explains all of them."""
    found = []
    for place in range(len(name)):
        for bit in range(8):
            flipped = bytearray(name)
            flipped[place] ^= 1 << bit
            if rows and all(is_of(bytes(flipped), row) for row in rows):
                found.append(bytes(flipped))
    return found[0] if len(found) == 1 else None


def is_of(name: bytes, row: RawRow) -> bool:
    """Whether a row has its checksum under a repository's name."""
    word = b"tag" if isinstance(row, RawTag) else b"link"
    return sum_of(word, name, *row.fields) == row.checksum
