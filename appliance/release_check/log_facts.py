"""What the audit log says of imports, releases, links and tags, as it is read (appliance.release_check.log_record)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.audit.acts import Act
from appliance.release_check.block_record import BlockRecord
from appliance.release_check.deed_record import DeedRecord
from bundles.documents.audit_cut import CutRecord

Aged = dict[str, int]
"""Things with their age: how many acts came after the newest one that says it."""


@dataclass(slots=True)
class ReleasedContent:
    """What releases of a bundle showed: all of it (`everything`, the age of that), or artifacts by repository; events
    of earlier versions name only the references of a part."""

    everything: int | None = None
    artifacts: dict[str, Aged] = field(default_factory=lambda: defaultdict(dict))
    references: Aged = field(default_factory=dict)

    def add(self, other: ReleasedContent, older: int = 0) -> None:
        """What another release showed besides, `older` acts before what its ages say."""
        if other.everything is not None:
            self.everything = _newer(self.everything, other.everything + older)
        for repository, digests in other.artifacts.items():
            add_aged(self.artifacts[repository], digests, older)
        add_aged(self.references, other.references, older)


def attached_by(detail: Mapping[str, Any]) -> dict[str, str]:
    """The tags by which a collect or a signing attached things to an artifact, each with the digest of its manifest."""
    found = detail.get("attached")
    return {str(tag): str(digest) for tag, digest in found.items()} if isinstance(found, Mapping) else {}


def add_aged(found: Aged, other: Aged, older: int = 0) -> None:
    """Add things that are `older` acts older than their ages say; of two ages the newer one counts."""
    for thing, age in other.items():
        found[thing] = _newer(found.get(thing), age + older)


def _newer(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


@dataclass(frozen=True, slots=True)
class Step:
    """A release or a withdrawal of the bundle with a digest and an id; of a release the references that it showed."""

    released: bool
    digest: str
    bundle: str
    references: frozenset[str]


@dataclass(frozen=True, slots=True)
class HandedIn:
    """The newest approval of a bundle by a key: through whose log-in it came, and whether that was before the station
    was last closed, when nobody was logged in."""

    actor: str
    while_open: bool


@dataclass(slots=True)
class LogRecord:
    """What the audit log says now, by digest.

    `imported`: each bundle that came in, as its id and the digest of its manifest ("" where an older program did not
    record that); `importers` who brought it in; `reports` the digest of its newest inspection report. `undone`: when a
    bundle was last rejected or withdrawn; `rejected` those that were rejected.
    `ever`: every bundle that was ever released, with the repositories that its events name
    ("": all that its manifest names). `released`: the bundles whose release stands. `links`: links that were made one
    by one and not ended since, as `repository@digest`; `brought` those that were made so and have ended; `left` links
    that a withdrawal left to a manifest that names them, and that were not ended since; `fresh` those of the last
    minute. `mounted`: links that were mounted from another repository's link, which no such act explains, and
    `was_mounted` those that were mounted so and have ended. `ended`:
    links that were taken away, with the age of that: no act before it explains them. `roots`: what else the station
    itself put into each repository. `acts`: how many acts these are, the age of what comes before them. `blocks`: what
    people blocked and unblocked. `deeds`: restores, floors, receipts, hand-overs and opened sealed keys. `approved`:
    the newest approval of each bundle by each key. `closed`: whether the station was closed since it was made open;
    None where what a cut kept does not say it, nor who approved. `brought_open`: the bundles that came in before it was
    last closed.

    `since`: from when all of this is known, "" from the beginning. `files`: the names of the files that signed cuts
    name. `damaged`: the one that is needed and is missing or changed; `lost`: events went that no cut kept anything of.
    `cut`: the newest cut's record, where it was read. `taken_back`: acts that it kept and that were taken back since,
    `void` the events, by lane and number, that were taken back after it. `steps`: the releases and withdrawals that a
    cut of an earlier version kept, the newest first. `foreign`: files of the log with lines that the station did not
    write; they say nothing.
    """

    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    importers: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    undone: dict[str, str] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    ever: dict[str, set[str]] = field(default_factory=dict)
    released: dict[str, ReleasedContent] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    brought: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    mounted: dict[str, str] = field(default_factory=dict)
    was_mounted: dict[str, str] = field(default_factory=dict)
    ended: Aged = field(default_factory=dict)
    roots: dict[str, Aged] = field(default_factory=lambda: defaultdict(dict))
    acts: int = 0
    blocks: BlockRecord = field(default_factory=BlockRecord)
    deeds: DeedRecord = field(default_factory=DeedRecord)
    approved: dict[str, dict[str, HandedIn]] = field(default_factory=dict)
    closed: bool | None = False
    brought_open: set[str] = field(default_factory=set)
    since: str = ""
    files: set[str] = field(default_factory=set)
    damaged: str = ""
    lost: bool = False
    cut: CutRecord | None = None
    taken_back: set[tuple[Act | None, str]] = field(default_factory=set)
    void: set[tuple[int, int]] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)

    @property
    def covers(self) -> Mapping[str, int]:
        """Up to which event of each lane the newest cut speaks."""
        return {} if self.cut is None else self.cut.covers
