"""What an SBOM lists, for the index of packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from appliance import clock
from appliance.advisories.licenses import encode, licenses_seal
from appliance.advisories.packages import Package
from appliance.advisories.sbom import Listed, read_sbom
from appliance.advisories.seals import list_sum, sbom_seal
from appliance.store.writes.components import IndexSbom
from bundles.errors import MalformedError
from bundles.io.display import some

_WHY: Final = 300


Origin = Literal["own", "carried"]


def index_write(key: bytes, image: str, sbom: str, raw: bytes, origin: Origin) -> IndexSbom:
    """The write that brings a document's packages into the index, sealed by `key` (`index_key`). One that cannot be
    read is `unreadable` there: an image whose packages are not known is never clean. Layers that were not looked into
    are named in `why`."""
    try:
        listed = read_sbom(raw)
    except MalformedError as error:
        return unreadable(key, image, sbom, error.what, origin)
    return listed_write(key, image, sbom, listed, origin)


def listed_write(key: bytes, image: str, sbom: str, listed: Listed, origin: Origin) -> IndexSbom:
    """As `index_write`, of a document that was read."""
    left = listed.unread_layers
    why = f"{some(len(left), 'layer was', 'layers were')} not looked into: {', '.join(left[:3])}" if left else ""
    return _sealed(key, image, sbom, origin, "indexed", why, listed.packages, listed.licenses)


def unreadable(key: bytes, image: str, sbom: str, why: str, origin: Origin) -> IndexSbom:
    """The write that says that an image's packages are not known, and why."""
    return _sealed(key, image, sbom, origin, "unreadable", why, ())


def _sealed(
    key: bytes, image: str, sbom: str, origin: Origin, state: str, why: str, packages: Sequence[tuple[Package, str]],
    said: Mapping[Package, Sequence[str]] | None = None,
) -> IndexSbom:  # fmt: skip
    at, why, listed = clock.now(), why[:_WHY], list_sum(packages)
    licenses = encode(said or {}) if origin == "own" else ""  # nobody else's word counts
    return IndexSbom(
        image=image, sbom=sbom, origin=origin, state=state, at=at, why=why,
        packages=tuple((tuple(package), path) for package, path in packages),
        listed=listed, seal=sbom_seal(key, image, sbom, origin, state, why, at, listed),
        licenses=licenses, licenses_seal=licenses_seal(key, image, sbom, listed, licenses) if licenses else "",
    )  # fmt: skip
