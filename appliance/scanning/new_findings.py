"""What the newest load of each source of advisories found first, in the shapes of the control API."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from appliance.advisories.match import Match, match_package
from appliance.advisories.packages import Package
from appliance.advisories.seals import index_key
from appliance.advisories.severity import LEVELS
from appliance.api.scanning import Hit, NewFindings, Use
from appliance.image_verdicts import Advisories
from appliance.limits import scanning as limits
from appliance.scanning.answers import OwnPackages, Places, Shows, count_seen, finding_of, not_scanned, sources
from appliance.scanning.index import bring_in
from appliance.station import Station
from appliance.store.reads import advisories, components, news
from appliance.store.reads.sealed_sources import has_its_news


class _Found(NamedTuple):
    """A new finding in an image. They are ordered by what to take first: what is exploited, then by severity."""

    later: bool
    level: int
    label: str
    id: str
    image: str
    number: int
    path: str


def new_findings(station: Station, shows: Shows) -> NewFindings:
    """What is new in the images that the caller may see, the most urgent first, from the index. Blocking."""
    complete = bring_in(station)
    with advisories.one_state(station.reader):
        return _new(station, shows, complete)


def _new(station: Station, shows: Shows, complete: bool) -> NewFindings:
    known, places = Advisories(station.reader, index_key(station.paths)), Places(station, shows)
    packages = components.packages_by_number(station.reader)
    rated = dict[int, dict[str, tuple[bool, int, str]]]()
    count = 0

    def ratings(number: int) -> dict[str, tuple[bool, int, str]]:
        """How each finding of a package is rated, by the id of its record. What was matched is not kept: news may be
        of every package of the store."""
        package = packages(number)
        found = () if package is None else match_package(package, known.entries).found
        return {
            match.entry.id: (
                not known.exploitation(match.entry.ids).exploited, LEVELS.index(match.entry.severity),
                match.package.label,
            )
            for match in found
        }  # fmt: skip

    def found() -> Iterator[_Found]:
        nonlocal count
        for image, number, path, name in news.news(station.reader):
            if not places.of(image):
                continue
            if number not in rated:
                rated[number] = ratings(number)
            rank = rated[number].get(name)
            if rank is not None:
                count += 1
                yield _Found(*rank, name, image, number, path)

    hits, own = list[Hit](), OwnPackages(station, known)
    first = heapq.nsmallest(limits.SCAN_FOUND, found())
    for one in first:
        package = packages(one.number)
        match = None if package is None else _match(known, package, one.id)
        if package is None or match is None:
            continue
        use = Use(
            package=package.label, version=package.version, purl=package.purl, path=one.path, origin="own",
            image=one.image, references=places.of(one.image),
        )  # fmt: skip
        if not own.superseded(use, package, match):
            hits.append(Hit(use=use, finding=finding_of(known, match, one.path, frozenset({one.image}))))
    missing, left = (
        not_scanned(station, places) + count_seen(components.damaged_images(station.reader, known.key), places),
        count - len(first),
    )
    return NewFindings(
        items=tuple(hits), left_out=left, not_scanned=missing,
        complete=complete and bool(known.sources) and not missing and not left and not known.damaged
        and all(has_its_news(station.reader, one) for one in known.sealed.standing.sources),
        advisories=sources(known),
    )  # fmt: skip


def _match(known: Advisories, package: Package, name: str) -> Match | None:
    return next((one for one in known.matches(package).found if one.entry.id == name), None)
