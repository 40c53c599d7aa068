"""What an SBOM lists, for the index of packages."""

from __future__ import annotations

from typing import Final, Literal

from appliance import clock
from appliance.advisories.sbom import read_sbom
from appliance.store.writes.components import IndexSbom
from bundles.errors import MalformedError
from bundles.io.display import some

_WHY: Final = 300


def index_write(image: str, sbom: str, raw: bytes, origin: Literal["own", "carried"]) -> IndexSbom:
    """The write that brings a document's packages into the index. One that cannot be read is `unreadable` there: an
    image whose packages are not known is never clean. Layers that were not looked into are named in `why`."""
    try:
        listed = read_sbom(raw)
    except MalformedError as error:
        return unreadable(image, sbom, error.what, origin)
    left = listed.unread_layers
    why = f"{some(len(left), 'layer was', 'layers were')} not looked into: {', '.join(left[:3])}" if left else ""
    packages = tuple((tuple(package), path) for package, path in listed.packages)
    return IndexSbom(
        image=image, sbom=sbom, origin=origin, state="indexed", at=clock.now(), why=why[:_WHY], packages=packages
    )


def unreadable(image: str, sbom: str, why: str, origin: Literal["own", "carried"]) -> IndexSbom:
    """The write that says that an image's packages are not known, and why."""
    return IndexSbom(image=image, sbom=sbom, origin=origin, state="unreadable", at=clock.now(), why=why[:_WHY])
