"""How each ecosystem spells the same package's name."""

from __future__ import annotations

import re
from typing import Final

_RUN: Final = re.compile(r"[-_.]+")
_CASELESS: Final = frozenset({"NuGet", "Packagist", "Hex", "Pub"})


def lookup_name(base: str, name: str) -> str:
    """The one form of a name that is looked up: PyPI's by PEP 503; others as they stand, or in lower case."""
    if base == "PyPI":
        return _RUN.sub("-", name).lower()
    return name.lower() if base in _CASELESS else name
