"""Ceilings of making and reading SBOMs."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

# Making them with syft.

SYFT_VERSION: Final = 20.0
"""Seconds in which a named syft says its version: it takes half of one, and longer on a busy disk."""

SBOM_AT_ONCE: Final = 2
"""Images looked into at once: the machine's smallest size has two cores, and syft wants most of one each."""

SBOM_TIME: Final = 1800.0
"""An image of tens of gigabytes takes minutes; more is one made to keep syft busy."""

SBOM_MEMORY: Final = 8 * 1024 * MIB
"""Address space of a syft; Go reserves far more than it uses, and used are a few hundred MiB."""

SBOM_DATA: Final = 4 * 1024 * MIB
"""What a syft may write to of that: large images take one to two GiB, and the unit's MemoryMax is behind it."""

SBOM_CPU: Final = 3600
"""Seconds of processor time of a syft: two cores for as long as it may run."""

SYFT_BINARY: Final = 512 * MIB
"""A syft binary: 60 MiB in 2024, 110 MiB in 2026."""

SBOM_RATIO: Final = 20
SBOM_FLOOR: Final = 2 * 1024 * MIB
"""What syft may keep on the disk beside an image, as often as the image's own bytes and at least the floor: it unpacks
layers, which real ones make three times as large."""

SBOM_ROOM: Final = 1024 * MIB
"""What stays free on the station's disk while syft has uncompressed layers beside it: a layer may be a bomb."""

# Reading them.

SBOM_TOOL: Final = 100
"""Characters of the name and version of the program that made an SBOM."""

SBOM_DOCUMENT: Final = 64 * MIB
"""One SBOM: about 20,000 components. Larger ones could not be shown either."""

SBOM_NODES: Final = 1_000_000
"""JSON values and keys of an SBOM that is looked into: 20,000 components of fifty each."""

SBOM_DECODED: Final = 128 * MIB
"""What an SBOM may take while two are compared, as `JSON_MEMORY` reckons: a job may hold a bundle's manifest at the
same time. Enough for about 15,000 components as syft writes them."""
