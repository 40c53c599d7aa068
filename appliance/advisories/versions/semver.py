"""Versions of Go, npm, crates.io and others that follow Semantic Versioning 2.0.0 (section 11), and what they add:
a leading `v`, fewer or more than three numbers, numbers of any length."""

from __future__ import annotations

import re
from typing import Final

from appliance.advisories.versions.errors import NoVersionError

_VERSION: Final = re.compile(r"[vV=]?(?P<core>\d+(?:\.\d+)*)(?P<rest>[-+.]?.*)\Z", re.ASCII | re.DOTALL)
_NUMBERS: Final = 3

Identifiers = tuple[tuple[bool, int, str], ...]
Key = tuple[tuple[int, int, int], bool, Identifiers]


def key(text: str) -> Key:
    """A key that sorts as the version does; build metadata, and numbers behind the third, do not count.

    Raises NoVersionError where the text does not begin with a number.
    """
    found = _VERSION.match(text.strip())
    if found is None:
        raise NoVersionError(text)
    numbers = [int(number) for number in found["core"].split(".")[:_NUMBERS]]
    major, minor, patch = [*numbers, 0, 0][:_NUMBERS]
    rest = found["rest"].partition("+")[0]
    if rest and not rest.startswith("-") and len(numbers) < _NUMBERS:
        raise NoVersionError(text)  # `1.x`: a range, no version
    before = rest.partition("-")[2] if rest.startswith("-") else rest.lstrip(".")
    found_before = identifiers(before)
    return (major, minor, patch), not found_before, found_before


def identifiers(before: str) -> Identifiers:
    """A key of a pre-release's identifiers; empty for a release."""
    return tuple(_identifier(one) for one in before.split(".")) if before else ()


def _identifier(text: str) -> tuple[bool, int, str]:
    """Numbers sort before words, by their value (section 11.4)."""
    return (False, int(text), "") if is_number(text) else (True, 0, text)


def is_number(text: str) -> bool:
    """Whether a text is digits alone, those of ASCII: `int` takes no others."""
    return text.isascii() and text.isdigit()
