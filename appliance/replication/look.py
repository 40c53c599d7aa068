"""A look: what a primary shows, held against what is shown here, by digest. Nothing is changed by it.

Every repository of the catalog that a pattern covers is looked at, and every one of which something was followed
before, so that what a robot may no longer see is told from what is gone. Of each tag the digest is asked for; where
that is the same here, everything that refers to it there must be shown here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance.limits import collecting as collecting_limits
from appliance.limits import replication as limits
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.sources import Root
from appliance.outgoing.collect.tasks import all_of, each_of, in_thread
from appliance.permissions import matches
from appliance.replication.compare import CONFLICTS, Verdict, compare
from appliance.replication.primary import Primary
from appliance.settings.caches import Caches
from appliance.settings.replicas import ReplicaSettings
from appliance.station import Station
from appliance.store.errors import EngineError
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.left_out import left_out_platform
from appliance.store.reads.replicas import followed_repositories, followed_tags
from bundles import limits as format_limits
from bundles.errors import CancelledError, FailedError, LockgateError, NotFoundError, RefusedError
from bundles.oci.attached_tags import is_attached
from bundles.oci.digest import Digest
from bundles.oci.manifest import INDEX_TYPES, parse_manifest
from bundles.oci.nesting import manifests_of

_CACHES = "cache/"
"""How the repositories of a cache begin, unless config.toml says otherwise (appliance.settings.caches)."""

_AT_ONCE = 32
"""Questions about manifests that wait for the primary at once."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A tag that does not stand here as there: `here` and `there` are digests, "" for nowhere. `root` and `source` say
    where it is taken from, where it is there. An EQUAL one lacks something that refers to it."""

    repository: str
    tag: str
    verdict: Verdict
    here: str
    there: str
    root: Root | None = None
    source: RemoteSource | None = None


@dataclass
class RepositoryLook:
    """What a look found of one repository: `tags` there, what is to be taken (`todo`), `gone` there, a matter for
    people (`stuck`), what could not be compared (`failed`, by thing), and `equal`: tags with their digests."""

    name: str
    tags: int = 0
    todo: list[Difference] = field(default_factory=list)
    gone: list[Difference] = field(default_factory=list)
    stuck: list[Difference] = field(default_factory=list)
    failed: dict[str, LockgateError] = field(default_factory=dict)
    withheld: list[str] = field(default_factory=list)
    """Tags that the primary gives to nobody, since they are blocked there or not as its policy asks, and that are shown
    to nobody here either."""
    equal: dict[str, str] = field(default_factory=dict)
    followed: int = 0
    """Tags that are followed, and were not let go."""

    @property
    def behind(self) -> int:
        """Tags that are not here as there."""
        return len(self.todo) + len(self.stuck) + len(self.failed)


class Looking:
    """Looks of one replica at its primary. `take`: tags (`REPO:TAG`) that are taken as the primary has them, whatever
    stands here."""

    def __init__(
        self, station: Station, name: str, settings: ReplicaSettings, primary: Primary, take: Sequence[str] = ()
    ) -> None:
        self._station, self._name, self._settings, self._primary = station, name, settings, primary
        self._take = frozenset(take)
        self._caches = Caches(station.config.caches)

    async def names(self) -> list[str]:
        """The repositories to look at. Raises a LockgateError where the catalog cannot be read whole."""
        there = await self._primary.repositories()
        followed = followed_repositories(self._station.reader, self._name)
        return sorted(name for name in {*there, *followed} if self._covers(name))

    def last_followed(self, repository: str) -> dict[str, str]:
        """Where each tag of a repository was followed last, "" for its end."""
        return {
            tag: digests[-1] for tag, digests in followed_tags(self._station.reader, self._name, repository).items()
        }

    def _covers(self, name: str) -> bool:
        """Whether a repository is followed. Caches are each station's own: of those here none is written to, and of
        those there only what a pattern calls by its beginning is followed."""
        patterns = self._settings.repositories
        if name.startswith(_CACHES):
            patterns = tuple(one for one in patterns if one.startswith(_CACHES))
        return not self._caches.holds(name) and any(matches(pattern, name) for pattern in patterns)

    async def look(self, names: Sequence[str]) -> dict[str, RepositoryLook]:
        """Look at repositories. What cannot be compared is kept with the repository; raises CancelledError, EngineError
        alone."""
        found = {name: RepositoryLook(name) for name in names}
        await each_of((self._look_at(one) for one in found.values()), limits.REPLICA_AT_ONCE)
        return found

    async def _look_at(self, found: RepositoryLook) -> None:
        try:
            followed = followed_tags(self._station.reader, self._name, found.name)
            found.followed = sum(1 for digests in followed.values() if digests[-1])
            try:
                tags = await self._primary.tags(found.name)
            except NotFoundError:
                tags = []
            found.tags = len(tags)
            gone = [tag for tag, digests in followed.items() if digests[-1] and tag not in set(tags)]
            for tag in gone:
                self._sort(found, Difference(found.name, tag, Verdict.GONE, self._here(found.name, tag), ""), followed)
            asked: set[Digest] = set()
            await each_of((self._compare(found, tag, followed, asked) for tag in tags), limits.REPLICA_AT_ONCE)
            # What is attached to an image is here before it: whoever asks for a signature must find it.
            found.todo.sort(key=lambda one: (not is_attached(one.tag), one.tag))
        except (CancelledError, EngineError):
            raise
        except LockgateError as error:
            found.failed[found.name] = error

    def _here(self, repository: str, tag: str) -> str:
        return self._station.metadata.tag_target(repository, tag) or ""

    async def _compare(
        self, found: RepositoryLook, tag: str, followed: dict[str, tuple[str, ...]], asked: set[Digest]
    ) -> None:
        source = self._primary.source(found.name, tag)
        try:
            async for root in source.roots():
                there = str(root.descriptor.digest)
                one = Difference(found.name, tag, Verdict.EQUAL, self._here(found.name, tag), there, root, source)
                self._sort(found, one, followed)
                if tag in found.equal and await self._lacks(found.name, root.descriptor.digest, asked):
                    del found.equal[tag]
                    found.todo.append(one)
        except (CancelledError, EngineError):
            raise
        except NotFoundError as error:
            found.failed[f"{found.name}:{tag}"] = FailedError(
                "the primary lists a tag and does not give it", thing=f"{error.thing}",
                remedy="it is compared again at the next look",
            )  # fmt: skip
        except LockgateError as error:
            # Its list of tags was given to this account: what is refused here is refused to everybody.
            if error.code in ("account-refused", "account-wanted") and self._is_hidden(found.name, tag):
                found.withheld.append(tag)
            else:
                found.failed[f"{found.name}:{tag}"] = error

    def _is_hidden(self, repository: str, tag: str) -> bool:
        here = self._here(repository, tag)
        return not here or self._station.metadata.blocked(Digest.parse(here)) is not None

    def _sort(self, found: RepositoryLook, one: Difference, followed: dict[str, tuple[str, ...]]) -> None:
        """Put a tag where it belongs."""
        verdict = compare(one.here, one.there, followed.get(one.tag, ()))
        if verdict in CONFLICTS and one.there and f"{one.repository}:{one.tag}" in self._take:
            verdict = Verdict.FOLLOW
        said = Difference(one.repository, one.tag, verdict, one.here, one.there, one.root, one.source)
        if verdict == Verdict.EQUAL:
            if one.there:
                found.equal[one.tag] = one.there
        elif verdict == Verdict.FOLLOW:
            found.todo.append(said)
        elif verdict == Verdict.GONE:
            found.gone.append(said)
        else:
            found.stuck.append(said)

    async def _lacks(self, repository: str, root: Digest, asked: set[Digest]) -> bool:
        """Whether something is not shown here that belongs to a manifest there: it, what an index lists, and what
        refers to any of these. `asked`: manifests that were asked about already. Raises RefusedError where that is
        without end."""
        waiting = [root]
        count = 0
        while waiting:
            batch, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
            fresh = [digest for digest in dict.fromkeys(batch) if digest not in asked]
            asked.update(fresh)
            for digest in fresh:
                facts = self._station.metadata.linked_manifest(repository, digest)
                children = None if facts is None else await self._children(repository, facts)
                if children is None:
                    return True
                waiting += children
            for listed in await all_of(self._primary.referrers(repository, digest) for digest in fresh):
                waiting += [one.digest for one in listed]
                count += len(listed)
            if count > collecting_limits.COLLECT_EVIDENCE:
                raise RefusedError(
                    "too much refers to an artifact", thing=f"{repository}@{root}",
                    remedy=f"at most {collecting_limits.COLLECT_EVIDENCE} manifests are followed",
                )  # fmt: skip
        return False

    async def _children(self, repository: str, facts: ManifestFacts) -> list[Digest] | None:
        """What an index that is shown here lists and was not left out of it; None where its bytes are damaged."""
        if facts.media_type not in INDEX_TYPES:
            return []
        raw = await in_thread(self._read, facts.digest)
        if Digest.of(raw, facts.digest.algorithm) != facts.digest:
            return None
        reader = self._station.reader
        listed = manifests_of(parse_manifest(raw, facts.media_type))
        return [one for one in listed if left_out_platform(reader, repository, one) is None]

    def _read(self, digest: Digest) -> bytes:
        with self._station.blobs.open_blob(digest) as file:
            return file.read(format_limits.OCI_MANIFEST + 1)
