"""Versions of PyPI: PEP 440 by `packaging`, and before all of them the older forms, which it no longer orders."""

from __future__ import annotations

import re
from typing import Any, Final

_PART: Final = re.compile(r"(\d+|[a-z]+|\.|-)", re.ASCII)
_WORDS: Final = {"pre": "c", "preview": "c", "-": "final-", "rc": "c", "dev": "@"}


def key(text: str) -> tuple[bool, Any]:
    """A key that sorts as the version does. Every text has a place."""
    from packaging.version import InvalidVersion, Version  # here: half of all scans hold no Python package

    try:
        return True, Version(text)
    except InvalidVersion:
        return False, _older(text)


def _older(text: str) -> tuple[str, ...]:
    """The order of setuptools 8 and before (its documentation, pkg_resources.parse_version)."""
    parts: list[str] = []
    for part in [*_PART.split(text.lower()), ""]:
        word = _WORDS.get(part, part)
        if not word or word == ".":
            continue
        if word[0].isdigit():
            parts.append(word.zfill(8))
            continue
        _take_word(parts, f"*{word}")
    _take_word(parts, "*final")
    return tuple(parts)


def _take_word(parts: list[str], word: str) -> None:
    if word < "*final":
        while parts and parts[-1] == "*final-":
            parts.pop()
    while parts and parts[-1] == "00000000":
        parts.pop()
    parts.append(word)
