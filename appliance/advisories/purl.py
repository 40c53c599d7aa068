"""Package URLs (ECMA-427), as far as they name a package, and the OSV ecosystem that their type stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

ECOSYSTEMS: Final[Mapping[str, str]] = {
    "cargo": "crates.io", "composer": "Packagist", "gem": "RubyGems", "golang": "Go", "hex": "Hex", "maven": "Maven",
    "npm": "npm", "nuget": "NuGet", "pub": "Pub", "pypi": "PyPI", "swift": "SwiftURL",
}  # fmt: skip
"""OSV ecosystems by the type of a package URL; distributions stand in `DISTRIBUTIONS`."""

DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "almalinux": "AlmaLinux", "alpine": "Alpine", "chainguard": "Chainguard", "debian": "Debian", "mageia": "Mageia",
    "openeuler": "openEuler", "opensuse": "openSUSE", "photon": "Photon OS", "redhat": "Red Hat", "rhel": "Red Hat",
    "rocky": "Rocky Linux", "rockylinux": "Rocky Linux", "sles": "SUSE", "ubuntu": "Ubuntu", "wolfi": "Wolfi",
}  # fmt: skip
"""OSV ecosystems by the namespace of `deb`, `apk` and `rpm` packages."""

_PACKAGES: Final = frozenset({"deb", "apk", "rpm"})
_COLON: Final = frozenset({"maven"})


@dataclass(frozen=True, slots=True)
class Purl:
    """A package URL's parts, decoded."""

    type: str
    namespace: str
    name: str
    version: str
    qualifiers: Mapping[str, str]

    @property
    def ecosystem(self) -> str:
        """The OSV ecosystem without its release; "" where OSV has none for it."""
        if self.type in _PACKAGES:
            return DISTRIBUTIONS.get(self.namespace.lower(), "")
        return ECOSYSTEMS.get(self.type, "")

    @property
    def full_name(self) -> str:
        """The name as OSV spells it: with its namespace, but for distributions' packages."""
        if not self.namespace or self.type in _PACKAGES:
            return self.name
        return f"{self.namespace}{':' if self.type in _COLON else '/'}{self.name}"


def parse(text: str) -> Purl | None:
    """The parts of a package URL; None for what is none."""
    scheme, colon, rest = text.partition(":")
    if scheme.lower() != "pkg" or not colon:
        return None
    rest = rest.partition("#")[0].lstrip("/")
    rest, _, query = rest.partition("?")
    kind, slash, path = rest.partition("/")
    if not slash or not kind:
        return None
    path, at, version = path.rpartition("@") if "@" in path.rpartition("/")[2] else (path, "", "")
    *namespace, name = [unquote(part) for part in path.split("/") if part] or [""]
    if not name:
        return None
    qualifiers = {key.lower(): value for key, value in parse_qsl(query.replace("+", "%2B"))} if query else {}
    return Purl(kind.lower(), "/".join(namespace), name, unquote(version) if at else "", qualifiers)
