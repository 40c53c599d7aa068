"""The plan: what a bundle will carry, in which volumes, on which media. Nothing is written and no blob is read."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.limits import sbom as sbom_limits
from appliance.outgoing.closure import Closure
from appliance.outgoing.delta_base import Base
from appliance.outgoing.gc_pause import gc_paused
from appliance.station import Station
from bundles import limits
from bundles.build import Content, plan_volumes
from bundles.errors import FailedError
from bundles.format.manifest import (
    LEFT_OUT_EXTENSION,
    NAMED_MOST,
    NOT_CARRIED_EXTENSION,
    UNDESCRIBED_EXTENSION,
    left_out_in_words,
)
from bundles.format.media import Packing
from bundles.oci.digest import Digest

FULL: Final = Base()
STORE_RESERVE: Final = 64 * limits.MIB
"""Bytes an inside leaves free beside what a bundle needs, for metadata and logs."""

_MANIFEST_RECORD: Final = 400
"""Bytes that a blob, an artifact or a volume takes in manifest.json, counted large."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from an order. `undescribed` are the images that an SBOM is still to be made of, `not_held` the
    foreign layers that the station does not hold (as Closure's)."""

    content: Content
    packing: Packing
    undescribed: Sequence[tuple[str, Digest]]
    not_held: Sequence[tuple[str, Digest, Digest]] = ()
    notes: Sequence[str] = ()
    left_out: Sequence[dict[str, Any]] = ()
    """Indexes of which platforms were left out on purpose, as Closure's."""
    undescribable: Sequence[dict[str, str]] = ()
    """Why images have no SBOM (appliance.outgoing.sbom.make.make_sboms)."""

    def not_carried(self) -> list[dict[str, str]]:
        """The foreign layers that the bundle will lack: {artifact: `repository@digest`, layer}."""
        return [
            {"artifact": f"{repository}@{owner}", "layer": str(layer)} for repository, owner, layer in self.not_held
        ]

    def said(self) -> list[str]:
        """What is to be said before the signature: `notes`, and the indexes that lack platforms, in words."""
        return [*self.notes, *map(left_out_in_words, self.left_out)]

    def extensions(self) -> dict[str, Any]:
        """What the bundle's manifest says of them."""
        lacking = {
            NOT_CARRIED_EXTENSION: ("layers", self.not_carried()),
            LEFT_OUT_EXTENSION: ("indexes", list(self.left_out)),
            UNDESCRIBED_EXTENSION: ("images", list(self.undescribable)),
        }
        return {
            name: {"count": len(listed), kind: listed[:NAMED_MOST]}
            for name, (kind, listed) in lacking.items()
            if listed
        }

    def space(self) -> Space:
        """What the plan takes at its peak on each side."""
        volumes = self.packing.sizes
        manifest = _MANIFEST_RECORD * (
            len(self.content.blobs) + len(self.content.requires) + len(self.content.artifacts) + len(volumes)
        )
        scans = sbom_limits.SBOM_ROOM if self.undescribed else 0
        return Space(
            outside=2 * manifest + scans,
            media=sum(volumes) + manifest * max(self.packing.media, default=1),
            inside=self.content.size + 2 * manifest + STORE_RESERVE,
        )


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes at the peak: on the outside station's disk beside what its store holds (no copy of the content is made), on
    the media together, and on the inside station's disk, where everything that is carried is new to it."""

    outside: int
    media: int
    inside: int


@gc_paused()
def make_plan(closure: Closure, volume_size: int, room: Sequence[int | None], base: Base = FULL) -> Plan:
    """The plan of what was reached and the inside does not hold (`base`), for volumes of at most `volume_size` bytes on
    media that take `room` bytes each (None: as much as it needs). Raises FailedError where the media do not suffice,
    UsageError for too small volumes."""
    content = base.without(closure.content)
    packing = plan_volumes(content, volume_size, room or [None])
    return Plan(content, packing, closure.undescribed, closure.not_held, closure.notes, closure.left_out)


def check_space(station: Station, plan: Plan) -> None:
    """Refuse early what does not fit on the station's own disk. Raises FailedError with the numbers."""
    needed, free = plan.space().outside, shutil.disk_usage(station.paths.jobs).free
    if needed > free:
        raise FailedError(
            "the station's disk is too small for the build",
            thing=f"{needed} bytes are needed, {free} are free",
            remedy="free some space, then run it again",
        )
