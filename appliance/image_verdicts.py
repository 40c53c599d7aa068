"""What the loaded advisories say of the images that are held: from the index alone, without reading a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from appliance.advisories.exploitation import EPSS, KEV
from appliance.advisories.match import UNDECIDED, Matches, Verdict, judge, match_package
from appliance.advisories.packages import Package, is_covered
from appliance.advisories.record import Entry
from appliance.advisories.seals import DAMAGED
from appliance.advisories.vex.statements import Claim, is_about, package_key, resolve
from appliance.store.ports import Reader
from appliance.store.reads import components
from appliance.store.reads.advisories import Exploitation
from appliance.store.reads.sealed_sources import Load, Sealed

SCANNED: Final = "scanned"
CARRIED: Final = "carried"
NOT_SCANNED: Final = "not-scanned"
_DECODER: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)
_LOOKED_UP: Final = 256
"""Packages whose advisories are kept: those of one name follow one another."""


class Advisories:
    """The advisories at hand, as they stand while this is used, and the key by which the index is known (`index_key`).
    `pending` is a load whose entries are taken in the place of its source's: what stands once it is made current.

    `sources` are those whose rows are what the station wrote; `damaged` names all of which others were met."""

    def __init__(self, reader: Reader, key: bytes, pending: Load | None = None) -> None:
        self.key, self.sealed = key, Sealed(reader, key, pending)
        self.sources = tuple(one.facts for one in self.sealed.standing.sources if one.sealed)
        self.ecosystems = frozenset(name for source in self.sources for name, _ in source.ecosystems)
        self.entries = lru_cache(maxsize=_LOOKED_UP)(self._read)
        self._exploitation = lru_cache(maxsize=_LOOKED_UP)(self._exploitation_of)
        self._has_vex = any(one.source.startswith("vex-") for one in self.sources)
        self._empty = Matches()
        self._matches = dict[Package, Matches]()

    @property
    def damaged(self) -> Set[str]:
        """The sources of which something else than what was loaded was met so far."""
        return self.sealed.damaged

    def _read(self, ecosystem: str, name: str) -> Sequence[tuple[str, Entry]]:
        return _decoded(self.sealed.entries(ecosystem, name))

    def about(self, name: str) -> Sequence[tuple[str, Entry]]:
        """What each source says of a vulnerability, by any of its ids."""
        return _decoded(self.sealed.about(name))

    def matches(self, package: Package) -> Matches:
        """What they say of a package. Kept: what is said of most is nothing."""
        if package not in self._matches:
            found = match_package(package, self.entries)
            self._matches[package] = found if found.known else self._empty
        return self._matches[package]

    def exploitation(self, ids: frozenset[str]) -> Exploitation:
        """What is known of the exploitation of a vulnerability, by any of its CVEs."""
        return self._exploitation(ids)

    def _exploitation_of(self, ids: frozenset[str]) -> Exploitation:
        dates = {one.source: one.dated for one in self.sources if one.source in (KEV, EPSS)}
        names = [one for one in ids if one.startswith("CVE-")] if dates else []
        since = [found.since for name in names for found in self.sealed.ratings(KEV, name)]
        scores = [found.score for name in names for found in self.sealed.ratings(EPSS, name) if found.score is not None]
        known = KEV in dates and KEV not in self.damaged
        return Exploitation(
            exploited=True if since else False if known else None, since=min(since, default=""),
            score=max(scores, default=None), dated=dates.get(EPSS, "") if scores else "",
        )  # fmt: skip

    def vex(self, images: frozenset[str], package: Package, ids: frozenset[str]) -> Claim | None:
        """What VEX documents say of a vulnerability of a package in an image, which is known by these digests."""
        if not self._has_vex or not package.purl:
            return None
        found = self.sealed.statements(sorted(ids), (package_key(package.purl), *sorted(images)))
        return resolve(one for one in found if is_about(one[1], images, package.purl))

    def covers(self, kind: str) -> bool:
        """Whether there are any about packages of a kind (`Debian:12`)."""
        return is_covered(kind, self.ecosystems)

    def malformed_in(self, verdict: Verdict) -> bool:
        """Whether records that could not be read may have been about what was judged: those of a source that has
        others about the same ecosystems."""
        return any(
            source.malformed and any(name.partition(":")[0] in verdict.ecosystems for name, _ in source.ecosystems)
            for source in self.sources
        )


def _decoded(found: Sequence[tuple[str, bytes]]) -> Sequence[tuple[str, Entry]]:
    return [(source, _DECODER.decode(raw)) for source, raw in found]


@dataclass(frozen=True, slots=True)
class ImageVerdict:
    """An image: `state` is SCANNED where the station's own SBOM was held against the advisories, CARRIED where others'
    documents alone are here (shown, not counted), NOT_SCANNED where there is none. `why` says what is missing;
    `damaged`: what the index has of it is not what the station wrote, so that nothing is known of it."""

    image: str
    state: str
    why: str = ""
    at: str = ""
    verdict: Verdict | None = None
    damaged: bool = False


def verdict_on(reader: Reader, image: str, known: Advisories) -> ImageVerdict:
    """The verdict on an image, by its digest."""
    listed = components.sboms_of(reader, known.key, image)
    own = next((one for one in listed if one.origin == "own"), None)
    if own is not None and not own.sealed:
        return ImageVerdict(image, NOT_SCANNED, DAMAGED, damaged=True)
    if own is not None and own.state == "indexed":
        packages = components.packages_of(reader, own)
        if packages is None:
            return ImageVerdict(image, NOT_SCANNED, DAMAGED, own.at, damaged=True)
        return ImageVerdict(image, SCANNED, own.why, own.at, judge(packages, known.matches, known.covers))
    why = own.why if own is not None else ""
    carried = [one for one in listed if one.origin != "own" and one.state == "indexed"]
    if not carried:
        return ImageVerdict(image, NOT_SCANNED, why or next((one.why for one in listed if one.sealed and one.why), ""))
    every = [components.packages_of(reader, one) for one in carried]
    if None in every:
        return ImageVerdict(image, NOT_SCANNED, DAMAGED, damaged=True)
    told = list(dict.fromkeys(found for one in every if one is not None for found in one))
    return ImageVerdict(image, CARRIED, why, carried[0].at, judge(told, known.matches, known.covers))


def gaps_of(found: ImageVerdict, known: Advisories) -> Iterator[str]:
    """What keeps an image without findings from being clean, by codes."""
    if found.state != SCANNED or found.verdict is None:
        yield "damaged-packages" if found.damaged else "not-scanned"
        return
    verdict = found.verdict
    if found.why:
        yield "unread-layers"
    if not verdict.packages:
        yield "no-packages"
    if verdict.unmatched:
        yield "no-advisories"
    if verdict.unnamed:
        yield "unnamed-packages"
    if any(match.state == UNDECIDED for match, _ in verdict.findings):
        yield "undecided"
    if known.malformed_in(verdict):
        yield "malformed-advisories"
    if known.damaged:
        yield "damaged-advisories"
