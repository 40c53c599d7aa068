"""Where each tag must stand by the audit log: its acts replayed, the oldest first, from what the newest cut kept.

Only what the log says and what signed manifests hold counts. An act that was recorded and taken back did not happen;
which ones these are, `read_log` finds (appliance.release_check.log_record).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.audit.acts import MOVES_TAGS, TAKES_A_TAG, Act, mark, read_act
from appliance.audit.reading import own_oldest
from appliance.paths import StationPaths
from appliance.release_check.cut_record import CHUNK, read_lines
from appliance.release_check.log_facts import LogRecord, attached_by
from appliance.release_check.signed_content import SignedArtifact, signed_artifacts
from appliance.release_check.tag_history import CLIENT, RepositoryTags, pages, take
from appliance.store.ports import Blobs, Reader
from bundles import limits
from bundles.errors import LockgateError
from bundles.io import strict_json
from bundles.oci.digest import Digest
from bundles.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, Manifest, parse_manifest

_DETAIL: Final = ("digest", "digests", "referrers", "tags", "references", "artifacts", "whole", "keeps_released",
                  "attached")  # fmt: skip
_HELD: Final = 1_000
"""Acts that are held for as long as they may have happened after a withdrawal."""
_RACE: Final = 2_000_000
"""Microseconds within which acts of different processes may have happened in another order than they were recorded."""


@dataclass(slots=True)
class Replayed:
    """What stands in each repository, by the log; `names` are bundles' ids by digest. `pending` are acts that are too
    young to be sure that they are not taken back."""

    repositories: dict[str, RepositoryTags] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    pending: list[dict[str, Any]] = field(default_factory=list)


def replay(
    paths: StationPaths, log: LogRecord, blobs: Blobs, reader: Reader | None,
    *, only: frozenset[str] | None = None, upto: Mapping[int, int] | None = None, before: int | None = None,
) -> Replayed:  # fmt: skip
    """What stands in the repositories `only`, None for all of them, up to an event's number in each lane that `upto`
    names, and of the acts before the time `before` in microseconds. `reader` is of the station's database, for bundles
    whose signed manifest is not kept in a file.

    Raises FailedError where the log cannot be read. What cannot be told is not guessed: `Standing.whole`, `.either`.
    """
    return _Replay(paths, log, blobs, reader, only).run(upto, before)


def ever_released(paths: StationPaths, log: LogRecord, reader: Reader | None) -> frozenset[str]:
    """Every repository that held released content at some time."""
    found: set[str] = set()
    for digest, repositories in log.ever.items():
        found |= repositories - {""}
        if "" in repositories:
            every = signed_artifacts(paths, reader, digest, log.imported.get(digest, ("", ""))[1])
            found |= {one.repository for one in every or ()}
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Part:
    """What a release's event says that it showed: `artifacts` as (repository, digest), None where it names none; the
    `references` that it names, and whether that is `whole`."""

    artifacts: frozenset[tuple[str, str]] | None
    references: frozenset[str]
    whole: bool

    def holds(self, one: SignedArtifact) -> bool:
        """Whether an artifact was shown."""
        if self.artifacts is not None:
            return (one.repository, one.digest) in self.artifacts
        if self.whole:
            return True
        names = {f"{one.repository}@{one.digest}", *(f"{one.repository}:{tag}" for tag in one.tags)}
        return not names.isdisjoint(self.references)  # an event of an earlier version about a part

    def names(self, one: SignedArtifact, tag: str) -> bool:
        """Whether a tag of it was set."""
        return not self.references or f"{one.repository}:{tag}" in self.references


def _part(detail: Mapping[str, Any]) -> _Part:
    artifacts, said = detail.get("artifacts"), detail.get("references")
    named = None
    if isinstance(artifacts, dict):
        named = frozenset((str(repository), str(one)) for repository, every in artifacts.items() for one in every)
    references = frozenset(map(str, said)) if isinstance(said, list) else frozenset()
    return _Part(named, references, detail.get("whole") is not False)


class _Replay:
    def __init__(
        self, paths: StationPaths, log: LogRecord, blobs: Blobs, reader: Reader | None,
        only: frozenset[str] | None,
    ) -> None:  # fmt: skip
        self._paths, self._log, self._blobs, self._reader, self._only = paths, log, blobs, reader, only
        self._found = Replayed(names={digest: name for digest, (name, _) in log.imported.items()})
        self._holding: dict[str, set[str]] = defaultdict(set)
        self._signed: tuple[str, tuple[SignedArtifact, ...] | None] = ("", None)
        self._whole = not (log.lost or log.damaged)
        self._pending: list[dict[str, Any]] = []
        self._now = 0
        self._released_at: dict[str, int] = {}
        self._refused: list[tuple[int, Act, str, Mapping[str, Any]]] = []

    def run(self, upto: Mapping[int, int] | None, before: int | None) -> Replayed:
        self._begin()
        since = own_oldest(self._paths, map(mark, sorted(MOVES_TAGS)), self._log.covers, self._log.foreign)
        for event in heapq.merge(self._pending, since, key=lambda event: int(event["micros"])):
            if upto is not None and event["seq"] > upto.get(event["lane"], 0):
                continue
            act = read_act(event["act"])
            if act not in MOVES_TAGS or event["outcome"] != "done" or (event["lane"], event["seq"]) in self._log.void:
                continue
            if before is not None and event["micros"] >= before:
                kept = {name: event["detail"][name] for name in _DETAIL if name in event["detail"]}
                same = {name: event[name] for name in ("act", "thing", "outcome", "micros", "lane", "seq")}
                self._found.pending.append(same | {"detail": kept})
                continue
            self._now = int(event["micros"])
            self._apply(act, str(event["thing"]), event["detail"])
        return self._found

    def _begin(self) -> None:
        """Start from what the newest cut kept."""
        record = self._log.cut
        if record is None:
            return
        bundles: list[str] = []
        knows = False
        pending: list[dict[str, Any]] = []
        for said in read_lines(self._paths, record):
            if "bundle" in said:
                bundles.append(said["bundle"])
            elif "standing" in said:
                repository = said["standing"]
                if self._asked(repository):
                    take(self._standing(repository), said, bundles.__getitem__)
            elif "pending" in said:
                pending.append(said["pending"])
            knows = knows or "acts" in said
        self._pending = self._happened((read_act(one["act"]), str(one["thing"]), one) for one in reversed(pending))
        for repository, standing in self._found.repositories.items():
            standing.whole = standing.whole and self._whole
            for who in standing.bundles():
                self._holding[who].add(repository)
        if not knows:  # an earlier version kept the releases and withdrawals alone
            self._whole = False
            steps = [
                (Act.INTAKE_RELEASE if step.released else Act.INTAKE_WITHDRAW, step.bundle, step)
                for step in self._log.steps
            ]  # fmt: skip
            for step in self._happened(steps):
                act = Act.INTAKE_RELEASE if step.released else Act.INTAKE_WITHDRAW
                self._apply(act, step.bundle, {"digest": step.digest, "references": sorted(step.references)})

    def _happened(self, kept: Iterable[tuple[Act | None, str, Any]]) -> list[Any]:
        """Of acts that a cut kept, the newest first, those that were not taken back since; the oldest first."""
        undone = set(self._log.taken_back)
        found = []
        for act, thing, what in kept:
            if (act, thing) in undone:
                undone.discard((act, thing))
            else:
                found.append(what)
        return found[::-1]

    def _standing(self, repository: str) -> RepositoryTags:
        return self._found.repositories.setdefault(repository, RepositoryTags(whole=self._whole))

    def _apply(self, act: Act, thing: str, detail: Mapping[str, Any]) -> None:
        if act == Act.INTAKE_RELEASE:
            self._release(thing, detail)
        elif act == Act.INTAKE_WITHDRAW:
            digest = str(detail.get("digest", ""))
            for repository in self._holding.pop(digest, ()):
                self._found.repositories[repository].withdraw(digest)
            again, self._refused = self._refused, []
            for at, refused, what, said in again:
                if self._now - at < _RACE:
                    self._client(refused, what, said)
        else:
            self._client(act, thing, detail)

    def _client(self, act: Act, thing: str, detail: Mapping[str, Any]) -> None:
        """What a client or the station itself puts into a repository, or takes out of it, is no release."""
        name, at, digest = thing.partition("@")
        repository, _, tag = (name, "", "") if at or act == Act.GC_UNTAGGED else name.rpartition(":")
        if not self._asked(repository):
            return
        standing = self._standing(repository)
        if detail.get("keeps_released") and self._is_refused(repository, standing):
            self._refused = [*self._refused[-_HELD:], (self._now, act, thing, detail)]
            return
        match act:
            case Act.PUSH_MANIFEST | Act.COPY_MANIFEST | Act.CACHE_MANIFEST:
                standing.show(CLIENT, digest, self._children)
                for each in str(detail.get("tags", "")).split():
                    standing.put(CLIENT, each, digest)
            case Act.DELETE_TAG:
                standing.put(CLIENT, tag, "")
            case Act.DELETE_MANIFEST:
                standing.delete(digest)
            case Act.GC_UNTAGGED:
                for each in map(str, detail.get("digests", ())):
                    standing.delete(each)
            case _:
                said, referrers = str(detail.get("digest", "")), detail.get("referrers")
                self._closure(standing, [said, *(map(str, referrers) if isinstance(referrers, list) else ())])
                if act in TAKES_A_TAG and tag:
                    standing.put(CLIENT, tag, said)
                for each, where in attached_by(detail).items():
                    standing.put(CLIENT, each, where)

    def _is_refused(self, repository: str, standing: RepositoryTags) -> bool:
        """Whether the repository held released content when a client's act was recorded that the station lets happen
        only where it holds none: then somebody had deleted what says so from the database."""
        return bool(standing.bundles()) and self._now - self._released_at.get(repository, 0) >= _RACE

    def _closure(self, standing: RepositoryTags, roots: list[str]) -> None:
        while roots:
            digest = roots.pop()
            if not standing.shows(digest):
                standing.show(CLIENT, digest, self._children)
                roots += self._children(digest) or ()

    def _release(self, name: str, detail: Mapping[str, Any]) -> None:
        digest = str(detail.get("digest", ""))
        self._found.names.setdefault(digest, name)
        part = _part(detail)
        signed = self._artifacts(digest)
        if signed is None:  # its tags are not known any more: `unexplained` names the bundle
            self._release_unread(digest, part)
            return
        shown = [one for one in signed if self._asked(one.repository) and part.holds(one)]
        for one in shown:
            self._show(digest, one.repository, one.digest, one.media_type)
        for one in shown:
            for tag in one.tags:
                if part.names(one, tag):
                    self._standing(one.repository).put(digest, tag, one.digest)

    def _release_unread(self, digest: str, part: _Part) -> None:
        if part.artifacts is None:
            self._whole = False
            for standing in self._found.repositories.values():
                standing.whole = False
        for repository, one in part.artifacts or ():
            if self._asked(repository):
                self._show(digest, repository, one)
                self._standing(repository).whole = False

    def _asked(self, repository: str) -> bool:
        return self._only is None or repository in self._only

    def _show(self, bundle: str, repository: str, digest: str, media_type: str = "") -> None:
        standing = self._standing(repository)
        standing.released = True
        self._released_at[repository] = self._now
        is_no_index = media_type != "" and media_type not in INDEX_TYPES
        standing.show(bundle, digest, _none if is_no_index else self._children)
        self._holding[bundle].add(repository)

    def _artifacts(self, digest: str) -> tuple[SignedArtifact, ...] | None:
        """The artifacts of a bundle; those of one bundle are held at a time."""
        if self._signed[0] != digest:
            _, manifest = self._log.imported.get(digest, ("", ""))
            signed = signed_artifacts(self._paths, self._reader, digest, manifest, self._only)
            self._signed = (digest, signed)
        return self._signed[1]

    def _children(self, digest: str) -> tuple[str, ...] | None:
        manifest = read_manifest(self._blobs, digest)
        if manifest is None:
            return None
        return tuple(str(child.digest) for child in manifest.manifests if child.media_type in MANIFEST_TYPES)


def _none(_: str) -> tuple[str, ...]:
    return ()


def read_manifest(blobs: Blobs, digest: str) -> Manifest | None:
    """A manifest whose bytes have that digest; None where there is none."""
    raw = read_bytes(blobs, digest)
    try:
        return None if raw is None else parse_manifest(raw)
    except LockgateError:
        return None


def read_bytes(blobs: Blobs, digest: str) -> bytes | None:
    """The bytes of a manifest, which have that digest; None where there are none of a manifest's size."""
    try:
        wanted = Digest.parse(digest)
        if blobs.size(wanted) > limits.OCI_MANIFEST:
            return None
        with blobs.open_blob(wanted) as file:
            raw = file.read(limits.OCI_MANIFEST + 1)
    except (LockgateError, OSError):
        return None
    return raw if Digest.of(raw, wanted.algorithm) == wanted else None


def lines(replayed: Replayed, log: LogRecord) -> Iterator[bytes]:
    """What a cut keeps of it (appliance.release_check.cut_record)."""
    places = {digest: place for place, digest in enumerate(sorted(log.imported))}
    for repository, standing in sorted(replayed.repositories.items()):
        for page in pages(standing, places.__getitem__, CHUNK):
            yield strict_json.canonical({"standing": repository} | page) + b"\n"
    for event in replayed.pending:
        yield strict_json.canonical({"pending": event}) + b"\n"
