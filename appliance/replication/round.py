"""One round of a replica: look, take what differs, and look again at what was touched, until a look finds it equal.

What a round says was found by its last look at each repository, never by what it believes to have done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.jobs.documents import WAITS
from appliance.jobs.kinds import JobContext, lacked_memory, out_of_memory
from appliance.limits import collecting as collecting_limits
from appliance.limits import replication as limits
from appliance.outgoing.collect.arrivals import Arrivals, Meter
from appliance.outgoing.collect.kept import KeptBytes
from appliance.outgoing.collect.tasks import FirstAlone, each_of, end, in_thread
from appliance.replication.compare import too_many_gone
from appliance.replication.follower import Follower, follow_block, follow_end
from appliance.replication.look import Difference, Looking, RepositoryLook
from appliance.replication.primary import Primary
from appliance.settings.replicas import ReplicaSettings
from appliance.store.collection_lock import incoming_turn
from appliance.store.errors import EngineError
from appliance.store.writes.replicas import NoteEqual
from bundles.errors import CancelledError, LockgateError, RefusedError
from bundles.io.display import some
from bundles.io.threads import Threads
from bundles.oci.digest import Digest

_PASSES: Final = 3
"""Times that what was touched is looked at again, of a primary that moves on meanwhile."""

_LOOK: Final = 0.1
"""Seconds between two looks at whether the job was cancelled."""

Failed = Callable[[Act, str, LockgateError], object]


@dataclass
class Found:
    """What a round found: `began` is when its first look did. `followed`: references that were taken, `ended`: tags
    that were let go, `blocked`: digests that were blocked here."""

    began: str
    repositories: dict[str, RepositoryLook]
    followed: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    deletes: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether everything was compared, and is here as there."""
        return not any(one.behind or (self.deletes and one.gone) for one in self.repositories.values())


def run_round(context: JobContext, name: str, settings: ReplicaSettings, take: Sequence[str], failed: Failed) -> Found:
    """A round of the replica `name`; `failed` is told of each thing that could not be followed, with its act. Raises a
    LockgateError where the primary could not be looked at."""
    with incoming_turn(context.station.paths, context.progress, collects=False):
        return asyncio.run(_Round(context, name, settings, take, failed).run())


class _Round:
    def __init__(
        self, context: JobContext, name: str, settings: ReplicaSettings, take: Sequence[str], failed: Failed
    ) -> None:
        self._context, self._name, self._settings, self._failed = context, name, settings, failed
        self._primary = Primary(context.station.paths.root, name, settings, lambda text: context.log(f"[!!] {text}"))
        self._looking = Looking(context.station, name, settings, self._primary, take)
        self._meter, self._kept = Meter(context), KeptBytes(collecting_limits.COLLECT_MEMORY)
        self._shows = FirstAlone(collecting_limits.COLLECT_AT_ONCE)
        self._takes = False

    async def run(self) -> Found:
        asyncio.get_running_loop().set_default_executor(Threads(collecting_limits.COLLECT_THREADS))
        task = asyncio.ensure_future(self._run())
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_LOOK)
                if not task.done():
                    self._attend()
            return task.result()
        finally:
            await end([task])
            await self._primary.close()

    def _attend(self) -> None:
        """Say what it does. Who waits for the primary's answers keeps no other job out. Raises CancelledError."""
        if self._takes:
            self._meter.attend()
        else:
            self._context.progress(f"{WAITS}the primary", 0, 0)

    async def _run(self) -> Found:
        found = Found(clock.now(), {}, deletes=self._settings.deletes)
        await self._follow_blocks(found)
        found.repositories |= await self._looking.look(await self._looking.names())
        refused: dict[str, LockgateError] = {}
        for _ in range(_PASSES):
            touched = await self._follow(found, refused)
            if not touched:
                break
            await self._follow_blocks(found)
            found.repositories |= await self._looking.look(touched)
        for repository in found.repositories.values():
            left = [f"{one.repository}:{one.tag}" for one in (*repository.todo, *repository.gone)]
            repository.failed |= {thing: refused[thing] for thing in left if thing in refused}
            repository.todo = [one for one in repository.todo if f"{one.repository}:{one.tag}" not in refused]
            await self._note_equal(repository)
            for thing, error in repository.failed.items():
                await in_thread(self._failed, Act.REPLICA_FOLLOW, thing, error)
            for one in repository.stuck:
                await in_thread(self._failed, Act.REPLICA_FOLLOW, f"{one.repository}:{one.tag}", stuck_error(one))
        return found

    async def _follow_blocks(self, found: Found) -> None:
        """Block here what is blocked there, before anything is taken, whatever the rule says of deletes. A block that
        goes there stays here until a person lifts it. Raises a LockgateError where the list cannot be read whole."""
        metadata, side = self._context.station.metadata, self._context.station.config.side
        for digest, why in sorted((await self._primary.blocks(side)).items()):
            if metadata.blocked(Digest.parse(digest)) is None:
                await in_thread(follow_block, self._context, self._name, digest, why, clock.now())
                found.blocked.append(digest)

    async def _follow(self, found: Found, refused: dict[str, LockgateError]) -> list[str]:
        """Take what differs, and let go what is gone; the repositories that were touched. What failed once is left for
        the next round."""
        before = len(found.followed) + len(found.ended)
        every = list(found.repositories.values())
        todo = [one for repository in every for one in repository.todo if _name(one) not in refused]
        arrivals = Arrivals(self._context, self._meter, self._kept)
        self._takes = bool(todo)
        try:
            await each_of(
                (self._take(one, arrivals, found, refused) for one in todo), collecting_limits.COLLECT_AT_ONCE
            )
        finally:
            self._takes = False
            await arrivals.recorded()
        gone = [one for repository in every for one in repository.gone if _name(one) not in refused]
        if self._settings.deletes and gone:
            followed = sum(repository.followed for repository in every)
            if too_many_gone(len(gone), followed, *limits.REPLICA_GONE):
                refused |= {_name(one): _lost(len(gone), followed) for one in gone}
            else:
                for one in gone:
                    await self._guarded(one, refused, self._let_go(one, found))
        if len(found.followed) + len(found.ended) == before:
            return []
        return sorted({one.repository for one in (*todo, *gone)})

    async def _take(self, one: Difference, arrivals: Arrivals, found: Found, refused: dict[str, LockgateError]) -> None:
        async def take() -> None:
            await Follower(self._context, self._name, self._primary, one, arrivals, self._shows).take()
            found.followed.append(_name(one))

        await self._guarded(one, refused, take())

    async def _let_go(self, one: Difference, found: Found) -> None:
        await in_thread(follow_end, self._context, self._name, one, clock.now())
        found.ended.append(_name(one))

    async def _guarded(
        self, one: Difference, refused: dict[str, LockgateError], work: Coroutine[Any, Any, None]
    ) -> None:
        """Do it; what fails is kept, and the others go on. Raises CancelledError, EngineError alone."""
        try:
            await work
        except (CancelledError, EngineError):
            raise
        except LockgateError as error:
            refused[_name(one)] = error
        except Exception as error:
            if not lacked_memory(error):
                raise
            refused[_name(one)] = out_of_memory(_name(one))

    async def _note_equal(self, repository: RepositoryLook) -> None:
        """Keep that tags are equal, where it is news."""
        before = self._looking.last_followed(repository.name)
        news = tuple((tag, digest) for tag, digest in repository.equal.items() if before.get(tag) != digest)
        if news:
            write = NoteEqual(replica=self._name, repository=repository.name, tags=news, at=clock.now())
            await in_thread(self._context.station.writer.submit, write)


def _name(one: Difference) -> str:
    return f"{one.repository}:{one.tag}"


_WHY: Final[Mapping[str, str]] = {
    "moved-here": "the tag was moved here, and not at the primary",
    "moved-both": "the tag stands elsewhere here than at the primary, and not where it was followed last",
    "went-back": "the tag stands at the primary where it stood before",
}


def stuck_error(one: Difference) -> RefusedError:
    """What is said of a tag that is not followed."""
    return RefusedError(
        _WHY[one.verdict], thing=f"{_name(one)} (here {one.here or 'nowhere'}, there {one.there or 'nowhere'})",
        remedy="where the primary is right: lockgate replica sync NAME --take REPO:TAG", code=f"replica-{one.verdict}",
    )  # fmt: skip


def _lost(gone: int, followed: int) -> RefusedError:
    return RefusedError(
        "too much is gone at the primary at once", thing=f"{some(gone, 'tag')} of {followed}",
        remedy="see whether it lost its content; where they are meant to go, delete them here too",
        code="replica-gone",
    )  # fmt: skip
