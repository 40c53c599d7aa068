"""By which a station knows again what it wrote of packages: seals under a key that is not in the database.

A row that was changed, made up or taken away in the database has no seal any more (docs/adr/0059). The key is
`keys/index.key`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

import msgspec

from appliance.advisories.packages import Package
from appliance.mac_key import mac_key
from appliance.paths import StationPaths

DAMAGED: Final = "rows of the index are not what was written"
"""Why nothing is known of an image whose rows have no seal."""
_encode: Final = msgspec.msgpack.encode
_NINE: Final = b"\x99"
"""The head of an array of nine (MessagePack, fixarray): a package's eight fields and a path."""


def index_key(paths: StationPaths) -> bytes:
    """The key, 32 bytes; made where there is none. Blocking. Raises FailedError."""
    after = "a new one is made; scan the images again, since nothing is known of them until then"
    return mac_key(paths.index_key, after=after)


def list_sum(packages: Iterable[tuple[Package, str]]) -> str:
    """What an SBOM lists, whatever its order: SHA-256 in hex over the packages and their paths."""
    return sum_of_rows(row_of(package_part(package), path) for package, path in packages)


def package_part(package: Package) -> bytes:
    """A package's part of its rows, for whoever makes many: the beginning of a MessagePack array of nine texts."""
    return _NINE + b"".join(map(_encode, package))


def row_of(part: bytes, path: str) -> bytes:
    """A package with its path, as `sum_of_rows` takes it; `part` is its `package_part`."""
    return part + _encode(path)


def sum_of_rows(rows: Iterable[bytes]) -> str:
    """As `list_sum`."""
    return hashlib.sha256(_encode(sorted(rows))).hexdigest()


def sbom_seal(key: bytes, image: str, sbom: str, origin: str, state: str, why: str, at: str, listed: str) -> str:
    """The seal of an SBOM's row, HMAC-SHA256 in hex; `listed` is its `list_sum`."""
    return hmac.digest(key, _encode(("sboms", image, sbom, origin, state, why, at, listed)), "sha256").hex()


def is_sealed(seal: str, expected: str) -> bool:
    """Whether a row has the seal that it should have."""
    return hmac.compare_digest(seal.encode(), expected.encode())
