"""The plan: what a bundle will carry, in which volumes, on which media. Nothing is written and no blob is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.outgoing.closure import Closure
from bundles.build import Content, plan_volumes
from bundles.media import Packing
from bundles.oci.digest import Digest
from bundles.oci.layout import INDEX, LAYOUT, LAYOUT_FILE, index_bytes
from bundles.volumes.frame import FrameSize


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from an order. `undescribed` are the images that an SBOM is still to be made of."""

    content: Content
    packing: Packing
    undescribed: Sequence[tuple[str, Digest]]

    def volume_sizes(self) -> list[int]:
        """The bytes of each volume, exact."""
        sizes = []
        for index, pieces in enumerate(self.packing.volumes, 1):
            frame = FrameSize()
            for piece in pieces:
                frame.add(piece.name, piece.length)
            if index == 1:
                frame.add(INDEX, len(index_bytes(self.content.artifacts)))
                frame.add(LAYOUT_FILE, len(LAYOUT))
            sizes.append(frame.size)
        return sizes


def make_plan(closure: Closure, volume_size: int, room: Sequence[int | None]) -> Plan:
    """The plan of what was reached, for volumes of at most `volume_size` bytes on media that take `room` bytes each
    (None: as much as it needs). Raises FailedError where the media do not suffice, UsageError for too small volumes."""
    packing = plan_volumes(closure.content, volume_size, room or [None])
    return Plan(closure.content, packing, closure.undescribed)
