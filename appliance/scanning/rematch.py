"""Holds every package of the index against the advisories once more: what a load finds, and what it finds anew.

From the index alone, without reading a layer. It runs before a load is made current, with the load's rows in the place
of its source's: what it writes down belongs to the load, and counts with it or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from appliance.advisories.match import Match, Matches, Owners, match_package, may_be_owned, superseded
from appliance.advisories.names import lookup_name
from appliance.advisories.packages import Package
from appliance.advisories.severity import SEVERE
from appliance.image_verdicts import Advisories
from appliance.limits import scanning as limits
from appliance.store.ports import Reader
from appliance.store.reads import components, news
from appliance.store.reads.sealed_sources import Load

Keep = Callable[[tuple[tuple[int, str], ...], tuple[str, ...]], object]
"""Told findings (package, id of the record) or images, some at a time."""
Advance = Callable[[int, int], object]


class _Image:
    """An image's packages, their numbers, and who owns whom."""

    def __init__(self, found: Sequence[tuple[int, Package, str]]) -> None:
        self.numbers = {number for number, _, _ in found}
        self.packages = [(package, path) for _, package, path in found]

    @cached_property
    def owners(self) -> Owners:
        return Owners(package for package, _ in self.packages)


@dataclass(slots=True)
class _Sought:
    """Packages with findings that count: `clear` ones count in each image; those of `disputed` ones unless a
    distribution decides about them."""

    known: Callable[[Package], set[str]]
    clear: set[int] = field(default_factory=set)
    disputed: set[int] = field(default_factory=set)
    matches: dict[Package, list[Match]] = field(default_factory=dict)

    def add(self, number: int, package: Package, matches: Iterable[Match]) -> None:
        if may_be_owned(package):
            self.disputed.add(number)
            self.matches.setdefault(package, []).extend(matches)
        else:
            self.clear.add(number)

    def is_in(self, image: _Image) -> bool:
        """Whether an image has one of the findings."""
        if not image.numbers.isdisjoint(self.clear):
            return True
        if image.numbers.isdisjoint(self.disputed):
            return False
        return any(
            not superseded(package, path, match, image.owners, self.known)
            for package, path in image.packages
            for match in self.matches.get(package, ())
        )


@dataclass(frozen=True, slots=True)
class Rematched:
    """How many images the station has an SBOM of its own of, how many of them have findings, and of how many more the
    index has something else than the station wrote."""

    images: int = 0
    affected: int = 0
    damaged: int = 0


def rematch(
    reader: Reader, key: bytes, pending: Load | None, keep: Keep, advance: Advance = lambda *_: None
) -> Rematched:
    """Hold the images by the advisories that count, with those of the load `pending` in the place of its source's.
    `key` is the station's (`index_key`).

    `keep` is told what the load finds anew: findings that are severe (`SEVERE`) or exploited, of vulnerabilities of
    which nothing such was found in the package before. Each package is looked at once, however many images have it;
    packages of one name follow one another, so that their advisories are read once.
    """
    before, after = Advisories(reader, key), Advisories(reader, key, pending)
    exploited = before.sealed.exploited()
    total = components.packages_count(reader)
    every, fresh, told = _Sought(_known(after)), _Sought(_known(after)), list[tuple[int, str]]()
    for done, (number, package) in enumerate(components.all_packages(reader), 1):
        advance(done, total)
        matches = match_package(package, after.entries)
        if matches.found:
            every.add(number, package, matches.found)
        if pending is None or not matches.found or _same(package, before, after):
            continue
        found = _news(matches, match_package(package, before.entries), exploited)
        if found:
            fresh.add(number, package, found)
            told += [(number, match.entry.id) for match in found]
        if len(told) >= limits.NEWS_BATCH:
            keep(tuple(told), ())
            told = []
    if told:
        keep(tuple(told), ())
    return _count(reader, key, every, fresh, keep)


def newly_exploited(reader: Reader, key: bytes, generation: int, keep: Keep) -> None:
    """Tell `keep` of the findings that the load `generation` of the KEV catalogue is the first to call exploited."""
    known = Advisories(reader, key)
    fresh = _Sought(_known(known))
    for name in news.exploited_since(reader, generation):
        packages = dict[int, Package]()
        for _, entry in known.about(name):
            base = entry.ecosystem.partition(":")[0]
            packages |= components.packages_looked_up(reader, base, lookup_name(base, entry.name))
        for number, package in packages.items():
            found = [match for match in known.matches(package).found if name in match.entry.ids]
            if found:
                fresh.add(number, package, found)
                keep(tuple((number, match.entry.id) for match in found), ())
    _count(reader, key, _Sought(_known(known)), fresh, keep)


def _known(advisories: Advisories) -> Callable[[Package], set[str]]:
    """What gives the ids of every record about a package; kept, since few packages own others."""

    @lru_cache(maxsize=limits.NEWS_OWNERS)
    def known(package: Package) -> set[str]:
        return match_package(package, advisories.entries).known

    return known


def _same(package: Package, before: Advisories, after: Advisories) -> bool:
    return all(
        before.entries(package.ecosystem, name) == after.entries(package.ecosystem, name)
        for name, _ in package.lookups()
    )


def _news(after: Matches, before: Matches, exploited: frozenset[str]) -> list[Match]:
    def counts(match: Match) -> bool:
        return match.entry.severity in SEVERE or not exploited.isdisjoint(match.entry.ids)

    told = frozenset(name for match in before.found if counts(match) for name in match.entry.ids)
    return [match for match in after.found if counts(match) and told.isdisjoint(match.entry.ids)]


def _count(reader: Reader, key: bytes, every: _Sought, fresh: _Sought, keep: Keep) -> Rematched:
    images, affected, damaged, hit = components.images_indexed(reader, key), 0, 0, list[str]()
    for image, sbom in images:
        found = components.numbered_packages(reader, sbom)
        if found is None:
            damaged += 1
            continue
        held = _Image(found)
        affected += every.is_in(held)
        if fresh.is_in(held):
            hit.append(image)
    for start in range(0, len(hit), limits.NEWS_BATCH):
        keep((), tuple(hit[start : start + limits.NEWS_BATCH]))
    return Rematched(len(images) - damaged, affected, damaged)
