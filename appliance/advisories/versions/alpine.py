"""Versions of Alpine packages (apk-package(5), apk-tools' src/version.c): numbers, a letter, suffixes, a revision.

What apk would not take has a place too, as apk 2 gave it one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)*", re.ASCII)
_LETTER: Final = re.compile(r"[a-z]?")
_SUFFIX: Final = re.compile(r"_(alpha|beta|pre|rc|cvs|svn|git|hg|p)(\d*)", re.ASCII)
_HASH: Final = re.compile(r"(?:~[0-9a-f]+)?")
_REVISION: Final = re.compile(r"-r(\d*)", re.ASCII)
_ORDER: Final = ("alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p")
"""Suffixes in their order; "" is where there is none."""


@dataclass(frozen=True, slots=True)
class AlpineVersion:
    """A version's parts; `rest` is what apk would not take, and makes it come before one without."""

    numbers: tuple[str, ...]
    letter: str
    suffixes: tuple[tuple[int, int], ...]
    revision: int | None
    rest: str


def parse(text: str) -> AlpineVersion:
    """The version's parts, as far as they are a version's."""
    text = f"0{text}"  # `.1` is `0.1`
    found = _NUMBERS.match(text)
    numbers = found[0] if found else "0"
    at = len(numbers)
    letter = _LETTER.match(text, at)
    at = letter.end() if letter else at
    suffixes = list[tuple[int, int]]()
    while suffix := _SUFFIX.match(text, at):
        suffixes.append((_ORDER.index(suffix[1]), int(suffix[2] or 0)))
        at = suffix.end()
    skipped = _HASH.match(text, at)
    at = skipped.end() if skipped else at
    revision = _REVISION.match(text, at)
    at = revision.end() if revision else at
    return AlpineVersion(
        numbers=tuple(numbers.split(".")), letter=letter[0] if letter else "", suffixes=tuple(suffixes),
        revision=int(revision[1] or 0) if revision else None, rest=text[at:],
    )  # fmt: skip


def compare(left: AlpineVersion, right: AlpineVersion) -> int:
    """-1, 0 or 1."""
    if order := _numbers(left.numbers, right.numbers):
        return order
    if left.letter != right.letter:
        return 1 if left.letter > right.letter else -1
    none = ((_ORDER.index(""), 0),)
    longest = max(len(left.suffixes), len(right.suffixes))
    one = left.suffixes + none * (longest - len(left.suffixes))
    other = right.suffixes + none * (longest - len(right.suffixes))
    if one != other:
        return 1 if one > other else -1
    if order := _sign(left.revision or 0, right.revision or 0):
        return order
    return _rests(left, right)


def _rests(left: AlpineVersion, right: AlpineVersion) -> int:
    """What apk would not take comes first, and it reads nothing behind a revision."""
    if bool(left.rest) != bool(right.rest):
        return -1 if left.rest else 1
    if left.revision is not None or right.revision is not None:
        return 0
    return (left.rest > right.rest) - (left.rest < right.rest)


def _sign(one: int, other: int) -> int:
    return (one > other) - (one < other)


def _numbers(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    """Numbers behind the first that begin with a zero are compared digit by digit, as behind a decimal point."""
    for at, (one, other) in enumerate(zip(left, right, strict=False)):
        if at and (one[0] == "0" or other[0] == "0"):
            order = (one > other) - (one < other)
        else:
            order = _sign(int(one), int(other))
        if order:
            return order
    return _sign(len(left), len(right))
