"""Which links the log explains: what releases show by the bundles' signed manifests, and what the station itself
put into repositories.

Bundles are looked at one after the other, one manifest in memory at a time; what they explain goes to disk
(appliance.store.reads.explained). The work is linear in the artifacts of the bundles that are released and in what
their manifests name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import Final

from appliance.release_check.log_facts import Aged, LogRecord, ReleasedContent
from appliance.release_check.replay import read_manifest
from appliance.release_check.signed_content import SignedArtifact, artifacts_of, blobs_of, required_by, signed_manifest
from appliance.station import Station
from appliance.store.reads.explained import Explained
from appliance.store.reads.links import claimed_blobs, repository_is_known
from bundles.oci.manifest import MANIFEST_TYPES

# Places of their own beside repositories, whose names have no spaces.
_ALL: Final = "all of "
"""With a bundle's digest: all that it holds."""
_READ: Final = "read of "
"""With a bundle's digest: its artifacts, and what those of them reach whose manifests can be read."""
_ROOTS: Final = "put into "
"""With a repository: what the station itself ever put there."""


class Explaining:
    """What the log's events explain, as far as they were added."""

    def __init__(self, station: Station, log: LogRecord, explained: Explained) -> None:
        self._station, self._log, self._explained = station, log, explained
        self._loose: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        """By repository: (place, another one that is left out, age) of what is not told artifact by artifact."""
        self._damaged: set[tuple[str, str]] = set()
        self._told: set[str] = set()

    def add_roots(self) -> None:
        """What the station itself put into repositories, from roots down."""
        for repository, roots in self._log.roots.items():
            if self._is_here(repository):
                self._close(repository, roots)

    def add_release(self, bundle: str, raw: bytes, shown: ReleasedContent) -> None:
        """What the releases of the bundle with the signed manifest `raw` show."""
        artifacts = artifacts_of(raw) or ()
        roots: dict[str, Aged] = defaultdict(dict)
        of: dict[str, list[str]] = defaultdict(list)
        for one in artifacts:
            of[one.repository].append(one.digest)
            age = _age(one, shown)
            if age is not None:
                roots[one.repository][one.digest] = age
        if shown.everything is not None and len(of) == 1:
            (repository,) = of
            self._explained.add(repository, (*blobs_of(raw), *required_by(raw)), shown.everything)
            return
        walked: list[tuple[str, str]] = []
        carried = frozenset((*blobs_of(raw), *required_by(raw)))
        for repository, aged in roots.items():
            if not self._is_here(repository):
                continue
            manifests, unread = self._close(repository, aged, carried)
            walked += [(repository, digest) for digest in manifests]
            lost = unread.intersection(of[repository])
            if lost and shown.everything is not None:
                # A manifest that is damaged or gone tells nothing; everything was released, so that much is said.
                self._loose[repository].append((self._all_of(bundle, raw), "", shown.everything))
            elif lost := lost & aged.keys():
                self._add_rest(repository, bundle, raw, artifacts, min(aged[digest] for digest in lost))
                self._damaged |= {(repository, digest) for digest in lost}
        if shown.everything is None and shown.references:
            self._add_referrers(artifacts, walked, carried)

    def holds(self, repository: str, digest: str, ended: int | None) -> bool:
        """Whether an event explains a link that came after it was taken away, `ended` acts ago (None: never)."""
        age = self._explained.age(repository, digest)
        if age is not None and (ended is None or age < ended):
            return True
        return any(
            (ended is None or age < ended)
            and self._explained.age(place, digest) is not None
            and not (but and self._explained.age(but, digest) is not None)
            for place, but, age in self._loose.get(repository, ())
        )

    def is_damaged(self, repository: str, digest: str) -> bool:
        """Whether a part of a bundle was released there whose manifest cannot be read."""
        return (repository, digest) in self._damaged

    def is_mounted(self, link: str) -> bool:
        """Whether a link was mounted from another repository's that was let in, at some time, by a release or a
        collect. A source's link that somebody makes by hand for a moment explains none."""
        return self._was_let_in(self._log.mounted.get(link))

    def was_mounted(self, link: str) -> bool:
        """`is_mounted` of a link that was taken away since."""
        return self._was_let_in(self._log.was_mounted.get(link))

    def _was_let_in(self, source: str | None) -> bool:
        if source is None:
            return False
        repository, _, digest = source.rpartition("@")
        places = self._sources[repository]
        return any(self._explained.age(place, digest) is not None for place in places)

    @cached_property
    def _sources(self) -> dict[str, list[str]]:
        """Of each repository that was mounted from, the places of what bundles and the station brought there."""
        every = (*self._log.mounted.values(), *self._log.was_mounted.values())
        found: dict[str, list[str]] = {source.rpartition("@")[0]: [] for source in every}
        for digest in self._log.ever:
            _, manifest = self._log.imported.get(digest, ("", ""))
            raw = signed_manifest(self._station.paths, self._station.reader, digest, manifest)
            artifacts = None if raw is None else artifacts_of(raw)
            for repository in found.keys() & {one.repository for one in artifacts or ()}:
                found[repository].append(self._all_of(digest, raw or b""))
        for repository, places in found.items():
            self._close(f"{_ROOTS}{repository}", self._log.roots.get(repository, {}))
            places.append(f"{_ROOTS}{repository}")
        return found

    def _is_here(self, repository: str) -> bool:
        """Whether a repository shows anything: what would be shown in another one is not asked for."""
        return repository_is_known(self._station.reader, repository)

    def _all_of(self, bundle: str, raw: bytes) -> str:
        """The place of all that a bundle holds."""
        place = f"{_ALL}{bundle}"
        if place not in self._told:
            self._told.add(place)
            self._explained.add(place, (*blobs_of(raw), *required_by(raw)))
        return place

    def _add_rest(
        self, repository: str, bundle: str, raw: bytes, artifacts: Iterable[SignedArtifact], age: int
    ) -> None:
        """Explain what may be of a damaged manifest: what no other artifact of its bundle reaches. Of what it shares
        with others only rows tell; the finding about it stands, whatever they say."""
        everything, others = self._all_of(bundle, raw), f"{_READ}{bundle}"
        if others not in self._told:
            self._told.add(others)
            carried = frozenset((*blobs_of(raw), *required_by(raw)))
            self._close(others, dict.fromkeys((one.digest for one in artifacts), 0), carried)
        self._loose[repository].append((everything, others, age))
        claimed = claimed_blobs(self._station.reader, bundle, repository)
        self._explained.add(
            repository, (one for one in claimed if self._explained.age(everything, one) is not None), age
        )

    def _close(self, repository: str, roots: Aged, carried: frozenset[str] | None = None) -> tuple[set[str], set[str]]:
        """Explain every digest that the roots reach, by the bytes of the manifests themselves, with the age of the
        newest root that reaches it. Foreign layers came where they are `carried` (None: no bundle says so). Returns the
        manifests that were walked, and those that could not be read as one."""
        walked: set[str] = set()
        unread: set[str] = set()
        for age, root in sorted((age, digest) for digest, age in roots.items()):  # the newest first
            todo = [root]
            while todo:
                item = todo.pop()
                if item in walked:
                    continue
                walked.add(item)
                found = [item]
                manifest = read_manifest(self._station.blobs, item)
                if manifest is None:  # a blob, or a manifest that went: it reaches nothing
                    unread.add(item)
                else:
                    found += [str(blob.digest) for blob in manifest.blobs]
                    foreign = [str(layer.digest) for layer in manifest.foreign]
                    found += [digest for digest in foreign if carried is None or digest in carried]
                    for child in manifest.manifests:
                        (todo if child.media_type in MANIFEST_TYPES else found).append(str(child.digest))
                self._explained.add(repository, found, age)
        return walked, unread

    def _add_referrers(
        self, artifacts: Iterable[SignedArtifact], walked: list[tuple[str, str]], carried: frozenset[str]
    ) -> None:
        """Events of an earlier version do not name what refers to the artifacts of a partial release."""
        referring: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in artifacts:
            manifest = read_manifest(self._station.blobs, one.digest)
            if manifest is not None and manifest.subject is not None:
                referring[one.repository, str(manifest.subject.digest)].append(one.digest)
        todo = list(walked)
        while todo:
            key = todo.pop()
            age = self._explained.age(*key)
            for digest in referring.pop(key, ()) if age is not None else ():
                manifests, _ = self._close(key[0], {digest: age or 0}, carried)
                todo += [(key[0], manifest) for manifest in manifests]


def _age(one: SignedArtifact, shown: ReleasedContent) -> int | None:
    """How old the newest release of an artifact is; None where none showed it."""
    names = (f"{one.repository}@{one.digest}", *(f"{one.repository}:{tag}" for tag in one.tags))
    ages = (
        shown.everything, shown.artifacts.get(one.repository, {}).get(one.digest), *map(shown.references.get, names)
    )  # fmt: skip
    return min((age for age in ages if age is not None), default=None)
