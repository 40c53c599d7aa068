"""Digests: `algorithm:hex`, sha256 and sha512 alone, lower case alone (OCI image specification, descriptor.md)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Protocol

from bundles.errors import MalformedError

ALGORITHMS: Final = {"sha256": 64, "sha512": 128}
"""Registered algorithms and the length of their hex."""

_HEX: Final = re.compile(r"[0-9a-f]+\Z")


class Hasher(Protocol):
    """What hashlib objects do: bytes in, hex out."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A validated digest. `str()` gives `algorithm:hex`; ordering is bytewise on that text."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        length = ALGORITHMS.get(self.algorithm)
        if length is None:
            raise MalformedError(
                "unsupported digest algorithm", thing=repr(self.algorithm)[:80], remedy="use sha256 or sha512"
            )
        if len(self.hex) != length or not _HEX.match(self.hex):
            raise MalformedError(
                "malformed digest",
                thing=repr(f"{self.algorithm}:{self.hex}")[:160],
                remedy=f"{self.algorithm} takes {length} lower-case hex digits",
            )

    def __hash__(self) -> int:
        return hash(self.hex)  # which remembers its own: a plan asks some hundred thousand times

    @classmethod
    def parse(cls, text: str) -> Digest:
        """`algorithm:hex` as a Digest. Raises MalformedError."""
        algorithm, colon, hexdigits = text.partition(":")
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
