"""A transfer's table, which is its block 0: the files that stand behind one another, and the sha256 of each block."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from appliance.diode.geometry import Geometry
from appliance.diode.session import TABLE
from bundles import limits
from bundles.decide.bundle import SIGNATURE_NAME
from bundles.errors import MalformedError
from bundles.format import sums
from bundles.io import strict_json

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_SMALL: Final = {
    sums.NAME: limits.SUMS_FILE,
    sums.MANIFEST: limits.BUNDLE_MANIFEST,
    sums.README: limits.README_FILE,
}
_VOLUME: Final = re.compile(r"volumes/[0-9]{4}\.7z\Z")


class SentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the bundle: its name below the bundle's folder, and its bytes."""

    name: str
    size: int


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The files in their order, and the sha256 (hex) of blocks 1 to n."""

    files: list[SentFile]
    blocks: list[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a block that lies in one file: the file's name, where in it, and how many bytes."""

    name: str
    offset: int
    size: int


def encode(table: Table) -> bytes:
    """A table's bytes. Raises MalformedError where it is too large."""
    raw = strict_json.canonical(msgspec.to_builtins(table))
    if len(raw) > TABLE:
        raise MalformedError("too many files and blocks for one transfer", thing=f"{len(raw)} bytes")
    return raw


def decode(raw: bytes, geometry: Geometry) -> Table:
    """The table of a transfer. Raises MalformedError for names that no bundle has, and for what does not add up."""
    nodes = geometry.blocks + 8 * (limits.VOLUMES + limits.SIGNATURES + 16)
    fields = strict_json.loads_canonical(raw, ceiling=TABLE, nodes=nodes, what="the table of a transfer")
    try:
        table = msgspec.convert(fields, Table, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError("a malformed table of a transfer", thing=str(error)[:160]) from None
    names = [file.name for file in table.files]
    if len(set(names)) != len(names) or not all(_fits(file) for file in table.files):
        raise MalformedError("a table with a file that no bundle has")
    if sum(file.size for file in table.files) != geometry.size or len(table.blocks) != geometry.blocks:
        raise MalformedError("a table that is another transfer's")
    if not all(_SHA256.match(text) for text in table.blocks):
        raise MalformedError("a table with a sum that is none")
    return table


def _fits(file: SentFile) -> bool:
    if file.size < 0:
        return False
    if file.name in _SMALL:
        return file.size <= _SMALL[file.name]
    if SIGNATURE_NAME.match(file.name):
        return file.size <= limits.SIGNATURE_FILE
    return _VOLUME.match(file.name) is not None


def pieces(files: Sequence[SentFile], start: int, size: int) -> list[Piece]:
    """Where `size` bytes of the stream from `start` on lie in the files."""
    found, at = [], 0
    for file in files:
        low, high = max(start, at), min(start + size, at + file.size)
        if low < high:
            found.append(Piece(file.name, low - at, high - low))
        at += file.size
    return found
