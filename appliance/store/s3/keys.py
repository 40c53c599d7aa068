"""The layout of a bucket, below the station's prefix. Pure: names and small documents, no request.

    lockgate-store                      the mark: whose the bucket is
    blobs/<algorithm>/<hex>             a blob, whole; written once
    large/<algorithm>/<hex>             a note in place of a blob that one PUT does not take: where its bytes are
    parts/<algorithm>-<hex>-<random>    the bytes of such a blob
    graveyard/<time>/blobs-<algorithm>-<hex>    a collected blob that waits; `large-…` for a note
    damaged/blobs-<algorithm>-<hex>     a blob that was withdrawn; `large-…` for a note

Mark and note are two or three lines of ASCII. What a bucket holds is untrusted: a key that is none of these is passed
over, and a note cannot name a key of another blob, since it has the random part alone.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Final

from bundles.errors import MalformedError
from bundles.oci.digest import ALGORITHMS, Digest, is_hex_of

MARK: Final = "lockgate-store"
BLOBS: Final = "blobs"
LARGE: Final = "large"
GRAVEYARD: Final = "graveyard"
PARTS: Final = "parts"
DAMAGED: Final = "damaged"
_MARK: Final = re.compile(rb"lockgate store 1\n([0-9a-f]{32})\n\Z")
_NOTE: Final = re.compile(rb"lockgate large blob 1\n(0|[1-9][0-9]{0,15})\n([0-9a-f]{32})\n\Z")
_NAME: Final = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_GRAVE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z\Z", re.ASCII)


def write_mark(store_id: str) -> bytes:
    """The mark's bytes. `store_id`: 32 hex digits."""
    return f"lockgate store 1\n{store_id}\n".encode()


def read_mark(raw: bytes) -> str:
    """The id of the store whose mark this is, "" where it is no mark."""
    found = _MARK.match(raw)
    return found.group(1).decode() if found else ""


@dataclass(frozen=True, slots=True)
class Note:
    """Of a blob in parts: its bytes, and the random part (32 hex digits) of the key that they are under."""

    size: int
    name: str

    @classmethod
    def make(cls, size: int) -> Note:
        """A note with a name that was never used."""
        return cls(size, secrets.token_hex(16))

    @classmethod
    def read(cls, raw: bytes) -> Note:
        """The note that these bytes are. Raises MalformedError."""
        found = _NOTE.match(raw)
        if found is None:
            raise MalformedError("no note of a large blob")
        return cls(int(found.group(1)), found.group(2).decode())

    def write(self) -> bytes:
        """Its bytes."""
        return f"lockgate large blob 1\n{self.size}\n{self.name}\n".encode()

    def key(self, digest: Digest) -> str:
        """Where the bytes of the blob are."""
        return f"{PARTS}/{digest.algorithm}-{digest.hex}-{self.name}"


def parts_of(key: str) -> tuple[Digest, str] | None:
    """The blob whose parts are at a key, and the name that a note of it has; None for any other key."""
    folder, _, rest = key.partition("/")
    algorithm, _, last = rest.partition("-")
    hexadecimal, _, name = last.partition("-")
    if folder != PARTS or algorithm not in ALGORITHMS or not is_hex_of(algorithm, hexadecimal):
        return None
    return (Digest(algorithm, hexadecimal), name) if _NAME.match(name) else None


def blob_key(digest: Digest) -> str:
    """Where a blob is."""
    return f"{BLOBS}/{digest.algorithm}/{digest.hex}"


def note_key(digest: Digest) -> str:
    """Where the note of a blob in parts is."""
    return f"{LARGE}/{digest.algorithm}/{digest.hex}"


def digest_of(key: str) -> Digest | None:
    """The blob whose key, or whose note's key, this is; None for any other."""
    folder, _, rest = key.partition("/")
    algorithm, _, hexadecimal = rest.partition("/")
    if folder not in {BLOBS, LARGE} or algorithm not in ALGORITHMS or not is_hex_of(algorithm, hexadecimal):
        return None
    return Digest(algorithm, hexadecimal)


def aside_key(key: str) -> str:
    """Where the object of a blob's key (`blob_key`, `note_key`) lies once it was withdrawn."""
    return f"{DAMAGED}/{key.replace('/', '-')}"


def withdrawn_of(key: str) -> Digest | None:
    """The blob whose withdrawn object, or note, is at a key; None for any other key."""
    folder, _, name = key.partition("/")
    return digest_of(name.replace("-", "/")) if folder == DAMAGED else None


def is_grave(name: str) -> bool:
    """Whether a folder of the graveyard is a grave: a time."""
    return _GRAVE.match(name) is not None


def grave_key(grave: str, key: str) -> str:
    """Where the object of a blob's key (`blob_key`, `note_key`) lies in a grave (a time like 2026-11-30T220400Z)."""
    return f"{GRAVEYARD}/{grave}/{key.replace('/', '-')}"


def buried_as(key: str) -> tuple[str, str] | None:
    """The grave and the blob's key of what lies at a key of the graveyard; None for any other key."""
    folder, _, rest = key.partition("/")
    grave, _, name = rest.partition("/")
    blob = name.replace("-", "/")
    return (grave, blob) if folder == GRAVEYARD and is_grave(grave) and digest_of(blob) is not None else None
