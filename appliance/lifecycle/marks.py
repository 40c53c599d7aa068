"""What garbage collection must not take: links, pins, builds that wait; and links that no manifest gives a reason."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from appliance.api.states import FINAL_STATES
from appliance.limits import lifecycle as lifecycle_limits
from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.station import Station
from appliance.store.reads import garbage
from appliance.store.writes.lifecycle import shown_manifests
from bundles import limits
from bundles.errors import FailedError, LockgateError, NotFoundError
from bundles.oci.digest import Digest
from bundles.oci.named_digests import named_digests


@dataclass(frozen=True, slots=True)
class Unreferenced:
    """Some of a repository's blobs that none of its manifests names; `shown` stands for the manifests that were read
    (`appliance.store.writes.lifecycle.shown_manifests`)."""

    repository: str
    blobs: tuple[str, ...]
    shown: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many blobs of a repository no manifest names and are too young to be taken; `newest` was linked last."""

    repository: str
    blobs: int
    newest: str


class _Named:
    """Which digests the manifests of a repository name, in eight bytes each.

    Two digests that begin alike count as one. That keeps a blob which could go, and never takes one that must stay.
    """

    def __init__(self) -> None:
        self._found = array("Q")

    def add(self, digests: Iterable[str]) -> None:
        self._found.extend(map(_beginning, digests))

    def sort(self) -> None:
        """Call once after the last `add`."""
        self._found = array("Q", sorted(self._found))

    def __contains__(self, digest: str) -> bool:
        beginning = _beginning(digest)
        place = bisect_left(self._found, beginning)
        return place < len(self._found) and self._found[place] == beginning


def _beginning(digest: str) -> int:
    return int(digest[7:23], 16)  # behind "sha256:" or "sha512:"


def unreferenced(
    station: Station, before: str, without: Mapping[str, Collection[str]] = MappingProxyType({})
) -> Iterator[Unreferenced | Waiting | str]:
    """For each repository with blobs that no manifest there names: those linked before the time `before`, at most
    `limits.GC_PAGE` at a time, then how many are younger. Where one of its manifests cannot be read, a sentence about
    it, and nothing of it is given. Reads every manifest of a repository that links a blob, but for those of `without`,
    by repository, which would be gone."""
    for repository, name in garbage.repositories(station.reader):
        if not garbage.links_any(station.reader, repository, "blob"):
            continue
        shown = shown_manifests(station.reader, repository)
        named = _Named()
        try:
            for digest in garbage.linked(station.reader, repository, "manifest"):
                if digest in without.get(name, ()):
                    continue
                named.add(named_by(station, Digest.parse(digest)))
        except LockgateError as error:
            yield f"{name}: nothing was unlinked: {error.diagnostics()}"
            continue
        named.sort()
        old, young, newest = list[str](), 0, ""
        for digest, at in garbage.linked_since(station.reader, repository, "blob"):
            if digest in named:
                continue
            if at >= before:
                young, newest = young + 1, max(newest, at)
                continue
            old.append(digest)
            if len(old) == lifecycle_limits.GC_PAGE:
                yield Unreferenced(name, tuple(old), shown)
                old.clear()
        if old:
            yield Unreferenced(name, tuple(old), shown)
        if young:
            yield Waiting(name, young, newest)


def named_by(station: Station, digest: Digest) -> set[str]:
    """Every digest that a held manifest names. Raises NotFoundError, FailedError where it is damaged."""
    with station.blobs.open_blob(digest) as file:
        raw = file.read(limits.OCI_MANIFEST + 1)
    if Digest.of(raw, digest.algorithm) != digest:
        raise FailedError("a manifest is damaged on disk", thing=str(digest), remedy="run: lockgate scrub")
    return named_digests(raw)


@dataclass(slots=True)
class WaitingBuilds:
    """Blobs of bundles whose bytes are fixed and whose jobs have not ended: their media are still to be written."""

    station: Station
    _blobs: dict[str, frozenset[str]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Read the bundles of builds that run by now and had fixed nothing at the last look; drop those that ended."""
        running = garbage.running_builds(self.station.reader, FINAL_STATES)
        self._blobs = {job_id: self._blobs.get(job_id) or self._load(job_id) for job_id in running}

    def _load(self, job_id: str) -> frozenset[str]:
        try:
            fixed = SealedBundle.load(self.station.paths.job(job_id))
        except NotFoundError:
            return frozenset()
        return frozenset() if fixed is None else frozenset(str(blob.digest) for blob in fixed.manifest.blobs)

    def __contains__(self, digest: object) -> bool:
        return any(digest in blobs for blobs in self._blobs.values())
