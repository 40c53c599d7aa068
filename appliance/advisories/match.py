"""Which advisories concern the packages of an image, and what keeps it from being called clean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from appliance.advisories.packages import Package, is_of_release
from appliance.advisories.ranges import affects, fix_of
from appliance.advisories.record import Entry
from appliance.advisories.versions.errors import NoVersionError

AFFECTED: Final = "affected"
UNDECIDED: Final = "undecided"

_PREFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "PyPI": ("python3-", "python-", "py3-", ""),
    "npm": ("node-", "nodejs-", ""),
    "RubyGems": ("ruby-", "rubygem-", ""),
    "Packagist": ("php-", ""),
}
"""How distributions name the packages that they make of an ecosystem's."""
_OWNED: Final = re.compile(r"/?usr/(lib|lib64|share)/")
"""Where distributions put files; what people install by themselves is in /usr/local, /opt or elsewhere."""
_UPSTREAM: Final = re.compile(r"(?:\d+:)?(?P<version>.+?)(?:[+~.](?:dfsg|ds|repack|really).*)?(?:-[^-]*)?\Z", re.DOTALL)

Advisory = tuple[str, Entry]
"""The source's name and what its record says of one package."""
Lookup = Callable[[str, str], Sequence[Advisory]]
"""What the advisories say of a package, by ecosystem without release and name as it is looked up."""


class Match(NamedTuple):
    """A package and a record that concerns it: `affected`, or `undecided` where the versions could not be compared."""

    package: Package
    source: str
    entry: Entry
    state: str
    fix: str
    version: str


@dataclass(slots=True)
class Matches:
    """What the advisories say of one package. `known`: every id of the records about it, fixed ones too."""

    found: list[Match] = field(default_factory=list)
    known: set[str] = field(default_factory=set)


def match_package(package: Package, lookup: Lookup) -> Matches:
    """Hold a package against the records of its ecosystem and release, by its own name and its source package's."""
    best: dict[str, Match] = {}
    known = set[str]()
    for name, version in package.lookups():
        for source, entry in lookup(package.ecosystem, name):
            if not is_of_release(entry.ecosystem, package):
                continue
            known |= entry.ids
            try:
                state = AFFECTED if affects(entry, version) else ""
            except NoVersionError:
                state = UNDECIDED
            if not state:
                continue
            earlier = best.get(entry.id)
            if earlier is None or (earlier.state == UNDECIDED and state == AFFECTED):
                best[entry.id] = Match(package, source, entry, state, fix_of(entry, version), version)
    return Matches(list(best.values()), known)


def superseded(package: Package, path: str, match: Match, owners: Owners, known: Callable[[Package], set[str]]) -> bool:
    """Whether a distribution's advisories decide in this one's place: its package owns the files, and it has a record
    about the same vulnerability, which says whether its package is fixed. Where it has none, the upstream's counts."""
    return any(known(owner) & match.entry.ids for owner in owners.of(package, path))


class Owners:
    """Which distribution packages of an image are made of an ecosystem's packages: of the same name and version, with
    the files where distributions put them."""

    def __init__(self, packages: Iterable[Package]) -> None:
        self._by_name: dict[str, list[Package]] = {}
        for one in packages:
            if one.release or one.purl.startswith(("pkg:deb/", "pkg:apk/", "pkg:rpm/")):
                self._by_name.setdefault(one.name, []).append(one)

    def of(self, package: Package, path: str) -> Iterator[Package]:
        """The distribution packages that own a package found at `path`."""
        if package.ecosystem not in _PREFIXES or not _OWNED.match(path):
            return
        for prefix in _PREFIXES[package.ecosystem]:
            for owner in self._by_name.get(f"{prefix}{package.name}", ()):
                if upstream_version(owner.version) == package.version:
                    yield owner


def may_be_owned(package: Package) -> bool:
    """Whether a distribution makes packages of the package's ecosystem."""
    return package.ecosystem in _PREFIXES


def upstream_version(version: str) -> str:
    """The part of a distribution's version that is the upstream's: without epoch, revision and repacking."""
    found = _UPSTREAM.match(version)
    return found["version"] if found else version


@dataclass(slots=True)
class Verdict:
    """What is known of an image's packages. `unmatched` counts packages by the kind that no advisories are loaded for,
    `unnamed` those without a package URL."""

    findings: list[tuple[Match, str]] = field(default_factory=list)
    packages: int = 0
    ecosystems: set[str] = field(default_factory=set)
    superseded: int = 0
    unmatched: dict[str, int] = field(default_factory=dict)
    unnamed: int = 0


def judge(
    packages: Sequence[tuple[Package, str]], matches_of: Callable[[Package], Matches], is_covered: Callable[[str], bool]
) -> Verdict:
    """The verdict over packages with their paths. `is_covered`: whether advisories of a kind are loaded."""
    verdict = Verdict(packages=len(packages))
    owners = Owners(package for package, _ in packages)
    for package, path in packages:
        kind = package.kind
        if not package.purl:
            verdict.unnamed += 1
            continue
        verdict.ecosystems.add(package.ecosystem)
        if not is_covered(kind):
            verdict.unmatched[kind] = verdict.unmatched.get(kind, 0) + 1
        for match in matches_of(package).found:
            if superseded(package, path, match, owners, lambda one: matches_of(one).known):
                verdict.superseded += 1
            else:
                verdict.findings.append((match, path))
    return verdict
