"""Which of two versions of an ecosystem is the later one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from appliance.advisories.versions import alpine, debian, maven, nuget, packagist, pypi, rpm, rubygems, semver
from appliance.advisories.versions.errors import NoVersionError
from appliance.limits import scanning as limits

_DEBIAN: Final = ("Debian", "Ubuntu", "Echo")
_RPM: Final = (
    "AlmaLinux", "Azure Linux", "Mageia", "Photon OS", "Red Hat", "Rocky Linux", "SUSE", "openEuler", "openSUSE",
)  # fmt: skip
_ALPINE: Final = ("Alpaquita", "Alpine", "BellSoft Hardened Containers", "Chainguard", "MinimOS", "Wolfi")
_SEMVER: Final = ("Go", "Hex", "Pub", "SwiftURL", "crates.io", "npm")

SCHEMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_DEBIAN, "debian"),
    **dict.fromkeys(_RPM, "rpm"),
    **dict.fromkeys(_ALPINE, "alpine"),
    **dict.fromkeys(_SEMVER, "semver"),
    "PyPI": "pypi",
    "Packagist": "packagist",
    "Maven": "maven",
    "NuGet": "nuget",
    "RubyGems": "rubygems",
}
"""By ecosystem (OSV schema, defined ecosystems) without its release, how its versions are ordered."""

_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "semver": semver.key,
    "pypi": pypi.key,
    "packagist": packagist.parts,
    "alpine": alpine.parse,
    "debian": debian.key,
    "rpm": rpm.key,
    "maven": maven.tokens,
    "nuget": nuget.key,
    "rubygems": rubygems.segments,
}
_COMPARE: Final[Mapping[str, Callable[[Any, Any], int]]] = {
    "packagist": packagist.compare,
    "alpine": alpine.compare,
    "maven": maven.compare,
    "rubygems": rubygems.compare,
}


def scheme_of(ecosystem: str) -> str | None:
    """How the versions of an ecosystem (`Debian:12`) are ordered; None for one that is not known here."""
    return SCHEMES.get(ecosystem.partition(":")[0])


def compare(scheme: str, left: str, right: str) -> int:
    """-1, 0 or 1 for two versions. Raises NoVersionError where one of them is none, or too long."""
    if left == right:
        return 0
    one, other = _parsed(scheme, left), _parsed(scheme, right)
    if (ordering := _COMPARE.get(scheme)) is not None:
        return ordering(one, other)
    return int(one > other) - int(one < other)


@lru_cache(maxsize=1 << 15)
def _parsed(scheme: str, text: str) -> Any:
    if not text or len(text) > limits.ADVISORY_VERSION:
        raise NoVersionError(text[:80])
    return _PARSERS[scheme](text)
