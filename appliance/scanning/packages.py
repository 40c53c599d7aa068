"""What an artifact is made of, by the index, and what SBOMs from elsewhere leave out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.advisories import purl as purls
from appliance.advisories.names import lookup_name
from appliance.advisories.packages import Package
from appliance.advisories.seals import DAMAGED, index_key
from appliance.api.scanning import CarriedSbom, ImagePackages, ListedPackage, Packages
from appliance.image_verdicts import CARRIED, NOT_SCANNED, SCANNED
from appliance.scanning.images import Image, images_of
from appliance.scanning.index import bring_in
from appliance.station import Station
from appliance.store.ports import Reader
from appliance.store.reads import advisories, components
from appliance.store.reads.components import Indexed
from bundles.oci.reference import Reference

_NAMED: Final = 100
"""Packages that are named of those that an SBOM leaves out."""
_Listed = Sequence[tuple[Package, str]]


def packages_of(station: Station, reference: Reference) -> Packages:
    """The packages of each image behind a reference. Blocking. Raises as `images_of`."""
    digest, images = images_of(station, reference)
    bring_in(station)
    with advisories.one_state(station.reader):
        key = index_key(station.paths)
        shown = tuple(_image(station.reader, key, image) for image in images)
    complete = all(one.state == SCANNED and not one.why and one.packages for one in shown)
    return Packages(reference=str(reference), digest=str(digest), complete=complete, images=shown)


def _image(reader: Reader, key: bytes, image: Image) -> ImagePackages:
    digest, platform = str(image.digest), image.platform
    if not image.held:
        return ImagePackages(digest=digest, platform=platform, state="not-held")
    listed = components.sboms_of(reader, key, digest)
    own = next((one for one in listed if one.origin == "own"), None)
    carried = [one for one in listed if one.origin != "own"]
    damaged = ImagePackages(digest=digest, platform=platform, state=NOT_SCANNED, why=DAMAGED)
    if own is not None and (own.state == "indexed" or not own.sealed):
        found = components.packages_of(reader, own)
        if found is None:
            return damaged
        return ImagePackages(
            digest=digest, platform=platform, state=SCANNED, why=own.why, at=own.at, packages=_shown(found),
            carried=tuple(_compared(reader, one, found) for one in carried),
        )  # fmt: skip
    why = own.why if own is not None else next((one.why for one in carried if one.why), "")
    every = [components.packages_of(reader, one) for one in carried if one.state == "indexed"]
    if not every:
        return ImagePackages(digest=digest, platform=platform, state=NOT_SCANNED, why=why)
    if None in every:
        return damaged
    together = list(dict.fromkeys(one for each in every if each is not None for one in each))
    return ImagePackages(digest=digest, platform=platform, state=CARRIED, why=why, packages=_shown(together))


def _shown(found: _Listed) -> tuple[ListedPackage, ...]:
    return tuple(ListedPackage(name=one.label, version=one.version, purl=one.purl, path=path) for one, path in found)


def _compared(reader: Reader, sbom: Indexed, own: _Listed) -> CarriedSbom:
    """What an SBOM from elsewhere does not list of what the station found: each package by its type, name and version,
    whatever the qualifiers of its URL."""
    listed = components.packages_of(reader, sbom)
    if sbom.state != "indexed" or listed is None:
        return CarriedSbom(digest=sbom.sbom, why=DAMAGED if listed is None else sbom.why)
    told = {_identity(one) for one, _ in listed}
    missing = dict.fromkeys(f"{one.label}@{one.version}" for one, _ in own if _identity(one) not in told)
    return CarriedSbom(
        digest=sbom.sbom, packages=sbom.packages, left_out=tuple(missing)[:_NAMED], left_out_count=len(missing)
    )


def _identity(package: Package) -> tuple[str, str, str]:
    found = purls.parse(package.purl) if package.purl else None
    if found is None:
        return "", package.label.lower(), package.version
    return found.type, lookup_name(found.ecosystem, found.full_name), found.version or package.version
