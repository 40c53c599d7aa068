"""Versions of Maven artifacts (Maven's POM reference, "version order specification")."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Final

from appliance.advisories.versions.semver import is_number

_TOKEN: Final = re.compile(r"([-.]?)(\d+|[^-.\d]*)", re.ASCII)
_ALIASES: Final = {"cr": "rc", "final": "", "ga": "", "release": ""}
_SHORT: Final = {"a": "alpha", "b": "beta", "m": "milestone"}
"""Words for others where a number follows at once."""
_WORDS: Final = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
"""Qualifiers in their order; "" is a release. Any other stands behind them, by the alphabet."""

Token = tuple[str, int | str]
"""What stands before a part (`-` or `.`), and the part: a number or a word."""


def tokens(text: str) -> tuple[Token, ...]:
    """The parts of a version without those that say nothing: zeros and words for a release at the end, or before a
    dash."""
    found = list[Token]()
    raw = [(before, part) for before, part in _TOKEN.findall(text.lower()) if before or part]
    for at, (before, part) in enumerate(raw):
        follows = at + 1 < len(raw) and raw[at + 1][0] == "" and is_number(raw[at + 1][1])
        # Between a digit and a letter stands a dash that is not written.
        prefix = before or ("-" if found else ".")
        if prefix == "-":
            _trim(found)
        if not part or is_number(part):
            found.append((prefix, int(part or 0)))
        else:
            word = _SHORT.get(part, part) if follows else part
            found.append((prefix, _ALIASES.get(word, word)))
    _trim(found)
    return tuple(found)


def _trim(found: list[Token]) -> None:
    while len(found) > 1 and found[-1][1] in (0, ""):
        found.pop()


def compare(left: tuple[Token, ...], right: tuple[Token, ...]) -> int:
    """-1, 0 or 1 for two versions' parts."""
    for one, other in zip_longest(left, right):
        mine = _weight(*(one or _padding(other)))
        theirs = _weight(*(other or _padding(one)))
        if mine != theirs:
            return 1 if mine > theirs else -1
    return 0


def _padding(token: Token) -> Token:
    return token[0], 0 if isinstance(token[1], int) else ""


def _weight(prefix: str, part: int | str) -> tuple[int, int, str]:
    """In this order: a word behind a dot, a word behind a dash, a number behind a dash, a number behind a dot."""
    if isinstance(part, int):
        return (3 if prefix == "." else 2), part, ""
    place = 0 if prefix == "." else 1
    return (place, _WORDS.index(part), "") if part in _WORDS else (place, len(_WORDS), part)
