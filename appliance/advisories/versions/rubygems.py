"""Versions of RubyGems (Gem::Version): numbers and words; a word makes a version a pre-release."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Final

from appliance.advisories.versions.errors import NoVersionError

_SEGMENT: Final = re.compile(r"[0-9]+|[a-z]+", re.IGNORECASE | re.ASCII)
_VERSION: Final = re.compile(r"[0-9]+[0-9a-z.-]*\Z", re.IGNORECASE | re.ASCII)

Segments = tuple[tuple[bool, int, str], ...]


def segments(text: str) -> Segments:
    """The parts of a version, without zeros at the end of its numbers and at its own end. Raises NoVersionError."""
    bare = text.strip()
    if not _VERSION.match(bare):
        raise NoVersionError(text)
    parts = [_segment(part) for part in _SEGMENT.findall(bare.replace("-", ".pre."))]
    word = next((at for at, (is_number, _, _) in enumerate(parts) if not is_number), len(parts))
    return (*_without_zeros(parts[:word]), *_without_zeros(parts[word:]))


def compare(left: Segments, right: Segments) -> int:
    """-1, 0 or 1; what is missing is a zero, and words come before numbers."""
    for one, other in zip_longest(left, right, fillvalue=_ZERO):
        if one != other:
            return 1 if one > other else -1
    return 0


_ZERO: Final = (True, 0, "")


def _segment(part: str) -> tuple[bool, int, str]:
    return (True, int(part), "") if part.isdigit() else (False, 0, part)


def _without_zeros(parts: list[tuple[bool, int, str]]) -> list[tuple[bool, int, str]]:
    while parts and parts[-1] == _ZERO:
        parts = parts[:-1]
    return parts
