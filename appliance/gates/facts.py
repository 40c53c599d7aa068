"""What a gate is held against: values, and no files, database or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from appliance.advisories.licenses import Licensed
from appliance.content_records import KeptRule
from appliance.settings.gates import Mode, Place


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source of advisories, and the time of its newest record."""

    source: str
    dated: str


@dataclass(frozen=True, slots=True)
class FindingFacts:
    """A vulnerability of a package. `ids` are all its names; `severity` as advisories have it; `exploited` whether the
    KEV catalogue names it, None where none is loaded; `published` when its advisory says that it was, "" for never;
    `fix` the version that is fixed, "" for none; `answered` what a VEX document says where it says that it does not
    matter (`not_affected`, `fixed`), else ""."""

    id: str
    ids: frozenset[str]
    severity: str
    package: str
    version: str
    exploited: bool | None = None
    published: str = ""
    fix: str = ""
    answered: str = ""


@dataclass(frozen=True, slots=True)
class MalwareFacts:
    """What the engine said of a manifest's `blobs`: of how many nothing (`missing`), when the oldest look was, the
    first paths with the signatures that match there, and how many files were not inspected, with the first of them."""

    blobs: int
    missing: int
    since: str = ""
    found: Sequence[tuple[str, str]] = ()
    uninspected: int = 0
    unseen: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What is known of one manifest that is no index and no evidence.

    `kind` as `bundles.oci.kinds` has it; `runs` whether clients run it. `state` is scanned, carried or not-scanned
    (appliance.image_verdicts), `scanned_at` when the station made its own SBOM; `sbom` is `own`, `carried` or "" for
    none. `looks` are what content rules said of the manifest and of each blob, empty for one that nobody looked at.
    `licenses` are what the station's own SBOM says of its packages, None where that is not known.
    `gaps` are codes of what was not looked at, `sources` the advisories that are about its packages.
    """

    digest: str
    kind: str
    runs: bool
    state: str
    platform: str = ""
    why: str = ""
    scanned_at: str = ""
    sbom: str = ""
    gaps: Sequence[str] = ()
    findings: Sequence[FindingFacts] = ()
    sources: Sequence[SourceFacts] = ()
    malware: MalwareFacts = MalwareFacts(1, 1)
    looks: Sequence[Mapping[str, KeptRule]] = ({},)
    licenses: Sequence[Licensed] | None = None
    also: frozenset[str] = frozenset()
    """Digests that it is known by besides: of the indexes that name it."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the station knows at all: when the KEV catalogue is of, None where none is loaded."""

    catalogue: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One rule of one gate about one manifest: whether it is met, why, and what would satisfy it ("" where it is met).

    `exceptions` are the ids of those without which it would not be met; `grace` when the first finding that is still
    let through is not any more, "" where there is none.
    """

    gate: int
    mode: Mode
    at: Sequence[Place]
    rule: str
    digest: str
    platform: str
    met: bool
    why: str
    asks: str = ""
    exceptions: Sequence[str] = field(default=())
    grace: str = ""

    @property
    def refuses(self) -> bool:
        """Whether it stands in the way."""
        return not self.met and self.mode == "enforce"
