"""Digests: `algorithm:hex`, sha256 and sha512 alone, lower case alone (OCI image specification, descriptor.md)."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Protocol

import msgspec

from bundles.errors import MalformedError

ALGORITHMS: Final = {"sha256": 64, "sha512": 128}
"""Registered algorithms and the length of their hex."""

_WELL_FORMED: Final = {name: re.compile(rf"[0-9a-f]{{{length}}}\Z").match for name, length in ALGORITHMS.items()}


def is_hex_of(algorithm: str, text: str) -> bool:
    """Whether `text` may stand behind the colon of a registered algorithm's digest."""
    return _WELL_FORMED[algorithm](text) is not None


class Hasher(Protocol):
    """What hashlib objects do: bytes in, hex out."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class Digest(msgspec.Struct, frozen=True, order=True):
    """A validated digest. `str()` gives `algorithm:hex`; ordering is bytewise on that text."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        well_formed = _WELL_FORMED.get(self.algorithm)
        if well_formed is None:
            raise MalformedError(
                "unsupported digest algorithm", thing=repr(self.algorithm)[:80], remedy="use sha256 or sha512"
            )
        if not well_formed(self.hex):
            raise MalformedError(
                "malformed digest",
                thing=repr(f"{self.algorithm}:{self.hex}")[:160],
                remedy=f"{self.algorithm} takes {ALGORITHMS[self.algorithm]} lower-case hex digits",
            )

    @classmethod
    def parse(cls, text: str) -> Digest:
        """`algorithm:hex` as a Digest. Raises MalformedError."""
        try:
            algorithm, colon, hexdigits = text.partition(":")
        except (AttributeError, TypeError):  # a damaged row of a database gives anything
            colon = ""
        if not colon:
            raise MalformedError("malformed digest", thing=repr(text)[:160], remedy="write algorithm:hex")
        return cls(algorithm, hexdigits)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of bytes in memory."""
        hasher = new_hasher(algorithm)
        hasher.update(data)
        return cls(algorithm, hasher.hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def path(self) -> str:
        """`<algorithm>/<hex>`: the path below `blobs/` in a store, a volume or an OCI layout."""
        return f"{self.algorithm}/{self.hex}"


def new_hasher(algorithm: str) -> Hasher:
    """A fresh hasher of a registered algorithm. Raises MalformedError for any other."""
    if algorithm not in ALGORITHMS:
        raise MalformedError("unsupported digest algorithm", thing=repr(algorithm)[:80], remedy="use sha256 or sha512")
    return hashlib.new(algorithm)
