"""SHA256SUMS: the one signed root, in GNU sha256sum's text format, read strictly.

One form alone: `<64 lower-case hex><space><space><path><newline>`, manifest.json first, then the rest by bytewise
path, no doubles, no escapes (docs/internals/format.md, SHA256SUMS).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bundles import limits
from bundles.errors import MalformedError

NAME: Final = "SHA256SUMS"
MANIFEST: Final = "manifest.json"
README: Final = "README.txt"
_LINE: Final = re.compile(rb"([0-9a-f]{64})  (manifest\.json|README\.txt|volumes/[0-9]{4}\.7z)\Z")


@dataclass(frozen=True, slots=True)
class SumLine:
    """A line: sha256 as 64 hex digits, and the path below the bundle's folder."""

    sha256: str
    path: str


def order(path: str) -> tuple[bool, bytes]:
    """The sort key of paths: manifest.json first, then bytewise."""
    return (path != MANIFEST, path.encode())


def render(lines: Sequence[SumLine]) -> bytes:
    """The file's bytes, lines brought into order."""
    ordered = sorted(lines, key=lambda line: order(line.path))
    return b"".join(f"{line.sha256}  {line.path}\n".encode() for line in ordered)


def parse(data: bytes) -> tuple[SumLine, ...]:
    """Read the file's one form. Raises MalformedError naming the line."""
    if len(data) > limits.SUMS_FILE:
        raise MalformedError(f"{NAME} is too large", thing=f"{len(data)} bytes")
    if not data.endswith(b"\n"):
        raise MalformedError(f"{NAME} does not end with a newline")
    lines = []
    for number, raw in enumerate(data[:-1].split(b"\n"), 1):
        match = _LINE.match(raw)
        if match is None:
            raise MalformedError(f"{NAME} line {number} is malformed", thing=repr(raw[:120]))
        lines.append(SumLine(match[1].decode(), match[2].decode()))
    paths = [line.path for line in lines]
    if len(set(paths)) != len(paths):
        raise MalformedError(f"{NAME} names a file twice")
    if paths != sorted(paths, key=order):
        raise MalformedError(f"{NAME} is out of order")
    for required in (MANIFEST, README):
        if required not in paths:
            raise MalformedError(f"{NAME} does not name {required}")
    return tuple(lines)
