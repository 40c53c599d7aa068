"""Versions of NuGet packages: Semantic Versioning with up to four numbers, whatever the case of its letters."""

from __future__ import annotations

import re
from typing import Final

from appliance.advisories.versions.errors import NoVersionError
from appliance.advisories.versions.semver import Identifiers, identifiers

_VERSION: Final = re.compile(r"v?(\d+(?:\.\d+){0,3})(?:-([^+]*))?(?:\+.*)?\Z", re.ASCII | re.DOTALL)


def key(text: str) -> tuple[tuple[int, ...], bool, Identifiers]:
    """A key that sorts as the version does. Raises NoVersionError."""
    found = _VERSION.match(text.strip().lower())
    if found is None:
        raise NoVersionError(text)
    numbers = [int(number) for number in found[1].split(".")]
    before = identifiers(found[2] or "")
    return (*numbers, *[0] * (4 - len(numbers))), not before, before
