"""A package as an SBOM names it, in the terms in which advisories are looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from appliance.advisories import purl as purls
from appliance.advisories.names import lookup_name
from appliance.limits import scanning as limits

_SOURCE_VERSION: Final = re.compile(r"(?P<name>[^@]+)@(?P<version>.+)\Z")
_ALPINE: Final = re.compile(r"(\d+\.\d+)")
_BY_SOURCE: Final = frozenset({"Debian", "Ubuntu", "Alpine", "Wolfi", "Chainguard"})
"""Ecosystems whose advisories name source packages (OSV schema, defined ecosystems)."""


class Package(NamedTuple):
    """`label` and `version` are as the SBOM says them, `ecosystem` the OSV ecosystem without its release ("" for
    none), `release` the distribution's (`12`, `v3.18`; "" where it is not known), `name` as it is looked up, and
    `source` with `source_version` the source package that it was built from, or ""."""

    purl: str
    label: str
    version: str
    ecosystem: str = ""
    release: str = ""
    name: str = ""
    source: str = ""
    source_version: str = ""

    @property
    def kind(self) -> str:
        """What advisories would have to be of: `Debian:12`, `PyPI`, or a type of package that OSV has none for."""
        if self.ecosystem:
            return f"{self.ecosystem}:{self.release}" if self.release else self.ecosystem
        found = purls.parse(self.purl) if self.purl else None
        return f"pkg:{found.type}" if found is not None else "unnamed"

    def lookups(self) -> Iterator[tuple[str, str]]:
        """Each name under which advisories may know it, with the version that counts there."""
        if not self.ecosystem:
            return
        yield self.name, self.version
        if self.source and self.ecosystem in _BY_SOURCE and (self.source, self.source_version) != (
            self.name, self.version,
        ):  # fmt: skip
            yield self.source, self.source_version or self.version


def package_of(purl: str, label: str, version: str, system: tuple[str, str] = ("", ""), source: str = "") -> Package:
    """The package that a component of an SBOM is.

    `system`: id and version of the distribution that the SBOM says the image is, for a package URL that names none.
    `source`: the source package, as `NAME` or `NAME@VERSION`, where the package URL names none.
    """
    found = purls.parse(purl) if purl else None
    if found is None:
        return Package("", label, version)
    ecosystem = found.ecosystem
    counted = version or found.version
    epoch = found.qualifiers.get("epoch", "")
    if found.type == "rpm" and epoch.isdigit() and epoch != "0" and ":" not in counted:
        counted = f"{epoch}:{counted}"
    if found.type == "golang" and counted.startswith("go"):
        counted = counted[2:]  # the standard library's
    name = lookup_name(ecosystem, found.full_name)
    distro = found.qualifiers.get("distro", "")
    release = _release(ecosystem, distro, system) if found.type in ("deb", "apk", "rpm") else ""
    upstream = found.qualifiers.get("upstream", "") or source
    built = _SOURCE_VERSION.match(upstream)
    of, at = (built["name"], built["version"]) if built else (upstream, counted if upstream else "")
    return Package(
        purl=purl, label=label or found.name, version=counted, ecosystem=ecosystem, release=release, name=name,
        source=of, source_version=at,
    )  # fmt: skip


def _release(ecosystem: str, distro: str, system: tuple[str, str]) -> str:
    """The release as OSV spells it. "" where it is not known: then every release's advisories count."""
    _, dash, version = distro.rpartition("-")
    if not dash:
        version = system[1] if purls.DISTRIBUTIONS.get(system[0].lower()) == ecosystem else ""
    if not version[:1].isdigit():
        return ""
    if ecosystem == "Alpine":
        found = _ALPINE.match(version)
        return f"v{found[1]}" if found else ""
    if ecosystem in ("Debian", "AlmaLinux", "Rocky Linux"):
        return version.partition(".")[0]
    return version


def is_of_release(ecosystem: str, package: Package) -> bool:
    """Whether an entry's ecosystem (`Debian:12`, `Ubuntu:22.04:LTS`) is the package's: the release is one of its words.
    One that names no release is every release's, and a package whose release is not known is of each."""
    base, *words = ecosystem.split(":")
    if base != package.ecosystem:
        return False
    return not words or not package.release or package.release in words or base in _UNNAMED


_UNNAMED: Final = frozenset({"Red Hat", "SUSE", "openSUSE"})
"""Ecosystems whose entries name products: which of them an image has is not known, so each counts."""


def check_sizes(package: Package) -> bool:
    """Whether nothing of it is longer than the index keeps."""
    return all(len(text) <= limits.PACKAGE_TEXT for text in package)


def is_covered(kind: str, loaded: frozenset[str]) -> bool:
    """Whether advisories of a package's kind (`Debian:12`, `PyPI`) are among the ecosystems that were loaded."""
    base, _, release = kind.partition(":")
    if kind in loaded or base in loaded:
        return True
    if release and base not in _UNNAMED:
        return any(one.split(":")[0] == base and release in one.split(":")[1:] for one in loaded)
    return any(one.partition(":")[0] == base for one in loaded)
