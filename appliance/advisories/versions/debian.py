"""Versions of Debian and Ubuntu packages (deb-version(7)): epoch, upstream version, revision."""

from __future__ import annotations

import re
from typing import Final

from appliance.advisories.versions.errors import NoVersionError

_PART: Final = re.compile(r"(\D*)(\d*)", re.ASCII)
_EPOCH: Final = re.compile(r"\d+\Z", re.ASCII)
_Part = tuple[tuple[int, ...], int]
_NOTHING: Final[_Part] = ((0,), 0)

Key = tuple[int, tuple[_Part, ...], tuple[_Part, ...]]


def key(text: str) -> Key:
    """A key that sorts as the version does. Raises NoVersionError where the epoch is no number, or nothing follows."""
    before, colon, rest = text.strip().partition(":")
    epoch, version = (before, rest) if colon else ("0", before)
    if not _EPOCH.match(epoch) or not version:
        raise NoVersionError(text)
    upstream, dash, revision = version.rpartition("-")
    return (int(epoch), *((_parts(upstream), _parts(revision)) if dash else (_parts(version), _parts(""))))


def _parts(text: str) -> tuple[_Part, ...]:
    """Words and numbers in turn, with what stands for the end: `~` sorts before it, everything else behind."""
    found = [((*map(_weight, word), 0), int(number or 0)) for word, number in _PART.findall(text) if word or number]
    return (*(found if found != [_NOTHING] else ()), _NOTHING)


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isascii() and character.isalpha() else ord(character) + 0x110000
