"""Verdicts, and where things are, in the shapes of the control API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from appliance import clock
from appliance.advisories.match import Match, Owners, superseded
from appliance.advisories.names import lookup_name
from appliance.advisories.packages import Package
from appliance.advisories.seals import index_key
from appliance.advisories.severity import LEVELS
from appliance.advisories.vex.statements import SET_ASIDE, Claim
from appliance.api.scanning import (
    AdvisorySource,
    ComponentsFound,
    Finding,
    Hit,
    Scan,
    ScannedImage,
    Use,
    Vex,
    VulnerabilityFound,
)
from appliance.image_verdicts import SCANNED, Advisories, ImageVerdict, gaps_of, verdict_on
from appliance.limits import scanning as limits
from appliance.scanning.images import Image, images_of, is_image
from appliance.scanning.index import bring_in
from appliance.scanning.kept_damage import DamagedImages
from appliance.station import Station
from appliance.store.reads import advisories, components
from appliance.store.reads.advisories import Source
from bundles.errors import UsageError
from bundles.io.display import safe
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference

_DAY: Final = 24 * 60 * 60
_NEVER: Final = "1970-01-01T00:00:00Z"
Shows = Callable[[str], bool]


def sources(known: Advisories) -> tuple[AdvisorySource, ...]:
    """The sources of advisories, with their age by the station's clock."""
    now = clock.seconds(clock.now())
    return tuple(
        AdvisorySource(
            source=one.source, digest=one.digest, dated=one.dated,
            age_days=max(0, (now - clock.seconds(one.dated)) // _DAY), loaded=one.loaded, actor=one.actor,
            records=one.records, withdrawn=one.withdrawn, malformed=one.malformed, entries=one.entries,
            ecosystems=dict(one.ecosystems), damaged=one.source in known.damaged,
        )
        for one in (*(one.facts for one in known.sealed.standing.sources), *_missing(known))
    )  # fmt: skip


def _missing(known: Advisories) -> Iterator[Source]:
    """Sources that were loaded and whose rows are gone."""
    standing = known.sealed.standing
    for name in sorted(standing.listed.keys() - {one.facts.source for one in standing.sources}):
        yield Source(name, "", _NEVER, _NEVER, "", 0, 0, 0, 0, ())


def scan_of(station: Station, reference: Reference) -> Scan:
    """What is known of an artifact now. Blocking. Raises as `images_of`."""
    digest, images = images_of(station, reference)
    bring_in(station)
    with advisories.one_state(station.reader):
        return _scan(station, reference, digest, images)


def _scan(station: Station, reference: Reference, digest: Digest, images: list[Image]) -> Scan:
    known = Advisories(station.reader, index_key(station.paths))
    shown, gaps, counts = list[ScannedImage](), set[str](), dict.fromkeys(LEVELS, 0)
    aside = dict[str, int]()
    for image in images:
        if not image.held:
            gaps.add("not-held")
            shown.append(ScannedImage(digest=str(image.digest), platform=image.platform, state="not-held"))
            continue
        found = verdict_on(station.reader, str(image.digest), known)
        one = _image(known, image, found, frozenset({str(digest), str(image.digest)}))
        gaps.update(gaps_of(found, known))  # after what VEX and the catalogue say was read
        if found.state == SCANNED:
            for finding in one.findings:
                if finding.vex is not None and finding.vex.status in SET_ASIDE:
                    aside[finding.vex.status] = aside.get(finding.vex.status, 0) + 1
                else:
                    counts[finding.severity] += 1
        shown.append(one)
    return Scan(
        reference=str(reference), digest=str(digest), complete=not gaps, gaps=tuple(sorted(gaps)), counts=counts,
        set_aside=aside, images=tuple(shown), advisories=sources(known),
    )  # fmt: skip


def _image(known: Advisories, image: Image, found: ImageVerdict, digests: frozenset[str]) -> ScannedImage:
    verdict = found.verdict
    return ScannedImage(
        digest=str(image.digest), platform=image.platform, state=found.state, why=found.why, at=found.at,
        packages=0 if verdict is None else verdict.packages,
        findings=() if verdict is None else _sorted(
            finding_of(known, match, path, digests) for match, path in verdict.findings
        ),
        unmatched={} if verdict is None else dict(sorted(verdict.unmatched.items())),
        unnamed=0 if verdict is None else verdict.unnamed,
        superseded=0 if verdict is None else verdict.superseded,
    )  # fmt: skip


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda one: (LEVELS.index(one.severity), one.package, one.id, one.path)))


def finding_of(known: Advisories, match: Match, path: str, images: frozenset[str]) -> Finding:
    """A finding in the image that is known by these digests."""
    entry, package = match.entry, match.package
    exploitation = known.exploitation(entry.ids)
    return Finding(
        id=entry.id, aliases=entry.aliases, state=match.state, severity=entry.severity,
        score=None if entry.score is None else entry.score / 10, vector=entry.vector, package=package.label,
        version=package.version, purl=package.purl, ecosystem=entry.ecosystem, path=path, fix=match.fix,
        summary=entry.summary, source=match.source, modified=entry.modified,
        exploited=exploitation.exploited, exploited_since=exploitation.since, epss=exploitation.score,
        epss_dated=exploitation.dated, vex=_vex(known.vex(images, package, entry.ids)),
    )  # fmt: skip


def _vex(claim: Claim | None) -> Vex | None:
    if claim is None:
        return None
    said = claim.statement
    return Vex(
        status=said.status, justification=said.justification, why=said.why, at=said.at, document=said.document,
        source=claim.source, contradicted=claim.contradicted,
    )  # fmt: skip


def find_component(
    station: Station, text: str, shows: Shows, damaged_images: DamagedImages = components.damaged_images
) -> ComponentsFound:
    """Where a package is: `NAME`, `NAME@VERSION` or a package URL; a version means that of the upstream too.

    It is complete only where this station described every image that the caller may see: that an SBOM from elsewhere
    lists no package is no word that the package is not there. Blocking. Raises UsageError for a text that is none.
    """
    check_package(text)
    complete = bring_in(station)
    name, _, version = text.rpartition("@") if "@" in text[1:] and not text.startswith("pkg:") else (text, "", "")
    wanted = [
        (number, package)
        for number, package in _named(station, text, name)
        if not version or is_version(package, name, version)
    ]
    uses, left = list[Use](), 0
    places = Places(station, shows)
    for number, package in wanted:
        for use in _uses(station, number, package, places):
            if len(uses) < limits.SCAN_FOUND:
                uses.append(use)
            else:
                left += 1
    key = index_key(station.paths)
    missing = not_scanned(station, places) + count_seen(damaged_images(station.reader, key), places)
    return ComponentsFound(
        name=text, items=tuple(uses), left_out=left, not_scanned=missing,
        complete=complete and not missing and not left,
    )  # fmt: skip


def check_package(text: str) -> None:
    """Raises UsageError for what is neither a package's name, nor one with a version, nor a package URL."""
    scheme, colon, rest = text.partition(":")
    if scheme.lower() == "pkg" and colon:
        kind, slash, name = rest.partition("/")
        if not (kind and slash and name.split("@")[-1 if name.startswith("@") else 0].strip("/")):
            raise UsageError("not a package URL", thing=safe(text)[:160], remedy="write pkg:TYPE/NAME[@VERSION]")
    elif not text.strip() or text.endswith("@"):
        raise UsageError("not a package", thing=safe(repr(text))[:160], remedy="write NAME, NAME@VERSION or its PURL")


def not_scanned(station: Station, places: Places) -> int:
    """How many images the caller may see of which this station made no SBOM."""
    waiting = [image for image in components.images_not_scanned(station.reader) if places.of(image)]
    return sum(1 for image in waiting if is_image(station, image))


def count_seen(damaged: Iterable[str], places: Places) -> int:
    """How many images the caller may see of those whose rows are not what the station wrote: what is in them is not
    known."""
    return sum(1 for image in damaged if places.of(image))


def _named(station: Station, text: str, name: str) -> list[tuple[int, Package]]:
    if text.startswith("pkg:"):
        return components.packages_by_purl(station.reader, text)
    return components.packages_named(station.reader, name)


def is_version(package: Package, name: str, version: str) -> bool:
    """Whether a package, or the source that it is built from, is of a version: all of it, or the upstream's part."""
    own = package.version if package.label.lower() == name.lower() or package.name == name else ""
    for one in (own, package.source_version if package.source.lower() == name.lower() else ""):
        bare = one.partition(":")[2] if one.partition(":")[0].isdigit() and ":" in one else one
        if version in (one, bare) or any(bare.startswith(f"{version}{mark}") for mark in "-+~"):
            return True
    return False


class Places:
    """Where images are shown to a caller: looked up once an image."""

    def __init__(self, station: Station, shows: Shows) -> None:
        self._station, self._shows = station, shows
        self._found = dict[str, tuple[str, ...]]()

    def of(self, image: str) -> tuple[str, ...]:
        """`repository:tag`, or `repository@digest` without a tag; nothing where the caller may not see it."""
        if image not in self._found:
            shown = [place for place in components.shown_in(self._station.reader, image) if self._shows(place[0])]
            self._found[image] = tuple(f"{name}:{tag}" if tag else f"{name}@{image}" for name, tag in shown)
        return self._found[image]


def _uses(station: Station, number: int, package: Package, places: Places) -> Iterator[Use]:
    """Each use of a package that the caller may see; the station's own word before others'."""
    seen = set[str]()
    for image, path, origin in components.uses_of(station.reader, number):
        if image in seen or not (references := places.of(image)):
            continue
        seen.add(image)
        yield Use(
            package=package.label, version=package.version, purl=package.purl, path=path, origin=origin, image=image,
            references=references,
        )  # fmt: skip


def find_vulnerability(
    station: Station, text: str, shows: Shows, damaged_images: DamagedImages = components.damaged_images
) -> VulnerabilityFound:
    """Which images hold a vulnerability, by any of its ids, from the index alone."""
    complete = bring_in(station)
    if text.lower().startswith("cve-"):
        text = text.upper()
    with advisories.one_state(station.reader):
        return _vulnerability(station, text, shows, complete, damaged_images)


def _vulnerability(
    station: Station, text: str, shows: Shows, complete: bool, damaged_images: DamagedImages
) -> VulnerabilityFound:
    known = Advisories(station.reader, index_key(station.paths))
    about = known.about(text)
    ids = {name for _, entry in about for name in entry.ids}
    places, hits, left = Places(station, shows), list[Hit](), 0
    own = OwnPackages(station, known)
    packages = dict[int, Package]()
    for _, entry in about:
        base = entry.ecosystem.partition(":")[0]
        packages |= components.packages_looked_up(station.reader, base, lookup_name(base, entry.name))
    for number, package in packages.items():
        matches = [one for one in known.matches(package).found if text in one.entry.ids]
        for use in _uses(station, number, package, places) if matches else ():
            for match in matches:
                if own.superseded(use, package, match):
                    continue
                if len(hits) < limits.SCAN_FOUND:
                    hits.append(Hit(use=use, finding=finding_of(known, match, use.path, frozenset({use.image}))))
                else:
                    left += 1
    missing = not_scanned(station, places) + count_seen(damaged_images(station.reader, known.key), places)
    return VulnerabilityFound(
        id=text, known=bool(about), ids=tuple(sorted(ids)), items=tuple(hits), left_out=left, not_scanned=missing,
        complete=complete and bool(about) and not missing and not left and not known.damaged,
        advisories=sources(known),
    )  # fmt: skip


class OwnPackages:
    """Which distribution packages own others, by image."""

    def __init__(self, station: Station, known: Advisories) -> None:
        self._station, self._known = station, known
        self._owners = dict[str, Owners]()

    def superseded(self, use: Use, package: Package, match: Match) -> bool:
        if use.image not in self._owners:
            listed = components.sboms_of(self._station.reader, self._known.key, use.image)
            every = [components.packages_of(self._station.reader, one) for one in listed if one.origin == use.origin]
            self._owners[use.image] = Owners(found for each in every if each is not None for found, _ in each)
        owners = self._owners[use.image]
        return superseded(package, use.path, match, owners, lambda one: self._known.matches(one).known)
