"""Versions of Packagist, compared as PHP's `version_compare` does. The order is not transitive, so there is no key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from appliance.advisories.versions.semver import is_number

_SEPARATOR: Final = re.compile(r"[-_+]")
_BEFORE_NUMBER: Final = re.compile(r"([^\d.])(\d)", re.ASCII)
_BEHIND_NUMBER: Final = re.compile(r"(\d)([^\d.])", re.ASCII)
_WORDS: Final = ("dev", "a", "b", "rc", "#", "p")
"""Words in their order: `#` stands for a number, or for nothing. An unknown word counts as `dev`."""


def parts(text: str) -> tuple[str, ...]:
    """The parts of a version: numbers and words apart."""
    bare = text[1:] if text[:1] in ("v", "V") else text
    dotted = _BEFORE_NUMBER.sub(r"\1.\2", _SEPARATOR.sub(".", bare))
    return tuple(_BEHIND_NUMBER.sub(r"\1.\2", dotted).split("."))


def compare(left: Sequence[str], right: Sequence[str]) -> int:
    """-1, 0 or 1 for two versions' parts."""
    for one, other in zip(left, right, strict=False):
        if is_number(one) and is_number(other):
            order = _sign(int(one), int(other))
        else:
            order = _sign(_weight(one), _weight(other))
        if order:
            return order
    if len(left) == len(right):
        return 0
    longer, sign = (left, 1) if len(left) > len(right) else (right, -1)
    rest = longer[min(len(left), len(right)) :]
    if is_number(rest[0]):
        return sign
    order = _sign(_weight(rest[0]), _weight("#"))
    if order:
        return sign * order
    # A word that stands for a number, and something behind it: only that decides.
    return sign * (compare(rest[1:], ()) if len(rest) > 1 else 0)


def _weight(part: str) -> int:
    if is_number(part):
        return _WORDS.index("#")
    if part.startswith("RC"):
        return _WORDS.index("rc")
    return next((at for at, word in enumerate(_WORDS) if part.startswith(word)), 0)


def _sign(one: int, other: int) -> int:
    return (one > other) - (one < other)
