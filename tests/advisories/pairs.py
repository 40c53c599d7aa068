"""The ordered pairs of versions in tests/data/advisories/version-pairs.zip."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).resolve().parents[1] / "data/advisories"
SCHEMES: Final = {
    "alpine": "alpine", "debian": "debian", "maven": "maven", "nuget": "nuget", "packagist": "packagist",
    "pypi": "pypi", "redhat": "rpm", "rubygems": "rubygems", "semver": "semver",
}  # fmt: skip
"""The scheme of each file's versions, by the beginning of its name."""
_LINE: Final = re.compile(r"(\S+) ([<=>]) (\S+)\Z")


def files() -> list[str]:
    with zipfile.ZipFile(DATA / "version-pairs.zip") as archive:
        return sorted(name for name in archive.namelist() if name.endswith(".txt"))


def pairs(name: str) -> Iterator[tuple[str, str, str]]:
    """Left, sign and right of each line that is no comment."""
    with zipfile.ZipFile(DATA / "version-pairs.zip") as archive:
        for line in archive.read(name).decode().splitlines():
            text = line.strip()
            if text and not text.startswith(("#", "//")):
                found = _LINE.match(text)
                assert found is not None, text
                yield found[1], found[2], found[3]


def scheme_of(name: str) -> str:
    return SCHEMES[name.partition("-versions")[0]]
