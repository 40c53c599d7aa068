"""Ceilings of admission reviews, and of the workloads that are remembered."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

ADMISSION_REVIEW: Final = 4 * MIB
"""Bytes of a review; API servers take objects of 3 MiB at most, and send an update with what was before."""

ADMISSION_NODES: Final = 200_000
"""Values and keys of a review."""

ADMISSION_IMAGE: Final = 1024
"""Characters of an image's name."""

WORKLOADS: Final = 100_000
"""Workloads of clusters that are remembered."""

ADMISSION_REMEMBERED: Final = 64
"""Images of one workload that are remembered."""

WORKLOADS_NAMED: Final = 1_000
"""Workloads that a recall names."""

ADMISSION_REACHED: Final = 4096
"""Manifests and blobs that an image is made of where a review asks for it: each is looked for among the blocks."""

ADMISSION_NAMED: Final = 20
"""Images that an event names."""
