"""The inspectors' port, and what they are handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance import limits
from appliance.intake.content import Checked
from appliance.intake.inspectors.notebook import Notebook
from appliance.store.metadata import Metadata
from bundles.documents import Section
from bundles.manifest import BundleManifest
from bundles.ports import BlobReader
from bundles.verdict import Opened


@dataclass(frozen=True, slots=True)
class Subject:
    """What is inspected, and what it may be held against. Nothing here can be changed through it; what an inspector
    need not look for again, it leaves in the `notebook`.

    `opened` is the bundle as its signatures have it, `checked` every artifact's manifest as it was read here, `blobs`
    the verified bytes, `metadata` what this station shows now, `previous` the stream's last bundle that was let in.
    Where the bundle is taken in without its `missing_volumes`, `opened.manifest` has what is whole without them, and
    `left_out` counts the artifacts that are not.
    """

    opened: Opened
    checked: Sequence[Checked]
    blobs: BlobReader
    metadata: Metadata
    previous: BundleManifest | None
    missing_volumes: tuple[int, ...] = ()
    left_out: int = 0
    notebook: Notebook = field(default_factory=Notebook)


Inspector = Callable[[Subject], Section]
"""Looks at the subject and says what it found; raises a LockgateError where it could not look."""


@dataclass(frozen=True, slots=True)
class Named:
    """An inspector, and the name of its section. `always`: whatever the policy says, no report is made without it."""

    name: str
    inspect: Inspector
    always: bool = True


def listed(name: str, entries: Sequence[Any]) -> dict[str, Any]:
    """A list for a section's details, cut where a report would grow too long, with how many were left out."""
    left_out = len(entries) - limits.REPORT_LIST
    kept = {name: list(entries[: limits.REPORT_LIST])}
    return kept | {f"{name}_left_out": left_out} if left_out > 0 else kept
