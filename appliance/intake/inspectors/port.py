"""The inspectors' port, and what they are handed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from appliance.content_rules.registry import RuleSet, rule_set
from appliance.content_rules.watching import BlobLook
from appliance.intake.content import Checked
from appliance.intake.inspectors.layer_cache import Notebook
from appliance.limits import intake as limits
from appliance.malware.engine import Engine
from appliance.malware.findings import Scanned
from appliance.settings.image_policy import ImagePolicy
from appliance.settings.malware import MalwareSettings
from appliance.settings.sources import Source
from appliance.store.reads.registry import Metadata
from appliance.store.reads.tag_claims import TagClaim
from bundles.decide.bundle import Opened
from bundles.documents.signed import Section
from bundles.format.manifest import BundleManifest
from bundles.image_signatures.pins import Pins
from bundles.oci.digest import Digest
from bundles.ports import BlobReader

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is inspected, and what it may be held against. Nothing here can be changed through it; what an inspector
    need not look for again, it leaves in the `notebook`.

    `opened` is the bundle as its signatures have it, `checked` every artifact's manifest as it was read here, `blobs`
    the verified bytes, `metadata` what this station shows now, `previous` the stream's last bundle that was let in.
    Where the bundle is taken in without its `missing_volumes`, `opened.manifest` has what is whole without them, and
    `left_out` counts the artifacts that are not. `sources` is what the policy lets each source write, `owners` gives
    the standing releases of a repository's tag, oldest first, by the audit log. `pins` are the keys and roots that this
    station believes for images, `image_policy` the policy for images that two people applied, `image_policy_error` why
    it cannot be read. `malware` names the engine that looks for malware, `folder` is where files without a name may be,
    and `scans` takes in what the engine said of each blob. `rules` are the content rules of the policy, `missing_rules`
    those of it that cannot run with why, `recall` gives what the same rules said of blobs before, `looked` takes in
    what they said of each blob, and `salt` is the station's, for fingerprints of secrets. `rotations` are the source's
    key rotations, each with its state here (appliance.rotations.accepting.describe).
    """

    opened: Opened
    checked: Sequence[Checked]
    blobs: BlobReader
    metadata: Metadata
    previous: BundleManifest | None
    owners: Callable[[str, str], list[TagClaim]]
    missing_volumes: tuple[int, ...] = ()
    left_out: int = 0
    notebook: Notebook = field(default_factory=Notebook)
    sources: Sequence[Source] = ()
    pins: Pins = field(default_factory=lambda: Pins((), (), ""))
    image_policy: ImagePolicy | None = None
    image_policy_error: str = ""
    malware: MalwareSettings = field(default_factory=MalwareSettings)
    folder: Path | None = None
    scans: list[tuple[Engine, Digest, Scanned]] = field(default_factory=list)
    rules: RuleSet = field(default_factory=rule_set)
    salt: bytes = b""
    missing_rules: Mapping[str, str] = field(default_factory=dict)
    recall: Callable[[Sequence[str]], Mapping[str, BlobLook]] = lambda _: {}
    looked: dict[Digest, BlobLook] = field(default_factory=dict)
    rotations: Sequence[dict[str, str]] = ()


Inspector = Callable[[Subject], Section]
"""Looks at the subject and says what it found; raises a LockgateError where it could not look."""


@dataclass(frozen=True, slots=True)
class Named:
    """An inspector, and the name of its section. `always`: whatever the policy says, no report is made without it."""

    name: str
    inspect: Inspector
    always: bool = True


class Listing(Generic[Entry]):
    """A list for a section's details, cut as it grows, with how many were left out."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0
        self._kept: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Count an entry, and keep it while there is room."""
        self.count += 1
        if len(self._kept) < limits.REPORT_LIST:
            self._kept.append(entry)

    def __len__(self) -> int:
        return self.count

    def details(self) -> dict[str, Any]:
        """The list by its name, and `<name>_left_out` where it was cut."""
        left_out = self.count - len(self._kept)
        kept: dict[str, Any] = {self.name: list(self._kept)}
        return kept | ({f"{self.name}_left_out": left_out} if left_out else {})


def listed(name: str, entries: Iterable[Any]) -> dict[str, Any]:
    """A `Listing` of what is there already."""
    listing = Listing[Any](name)
    for entry in entries:
        listing.add(entry)
    return listing.details()
