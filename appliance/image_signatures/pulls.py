"""The policy for images at every pull, for one worker: verdicts that were found are kept, and dropped when anything
that they rest on changes.

What a verdict rests on: the policy and the pinned keys (appliance.image_signatures.policy_in_force), the epoch, the
repository's manifests and tags (the number of its changes), and time.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from appliance.image_signatures.judge import Judge, Known
from appliance.image_signatures.naming import Remembered
from appliance.image_signatures.policy_in_force import PolicyInForce, look
from appliance.limits import image_signatures as limits
from appliance.paths import StationPaths
from appliance.registry.pull_policy import Objection
from appliance.settings.gates import Stage
from appliance.store.epoch import epoch_of
from appliance.store.ports import Blobs
from appliance.store.reads.registry import Metadata
from appliance.store.writes.rows import Kind
from bundles.io.display import safe
from bundles.io.threads import Threads
from bundles.oci.digest import Digest

_log: Final = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
Asked = tuple[str, Digest, Kind]
_LOOKS: Final = 16
"""How often one pull begins anew because what it is held against changed meanwhile."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A verdict that is being found since `began` (time.monotonic)."""

    began: float
    known: asyncio.Future[Known]


@dataclass(slots=True)
class _Generation:
    """What was found while nothing changed that concerns every repository. `due` (time.monotonic): when the files are
    looked at again, though nobody said that they changed."""

    standing: PolicyInForce
    judge: Judge
    epoch: bytes
    due: float
    known: dict[Asked, Known] = field(default_factory=dict)
    running: dict[Asked, _Run] = field(default_factory=dict)


class StationPulls:
    """A station's PullPolicy. `metadata` is the event loop's; threads read on a connection of their own."""

    def __init__(self, paths: StationPaths, blobs: Blobs, metadata: Metadata) -> None:
        self._paths, self._blobs, self._metadata = paths, blobs, metadata
        self._shared = epoch_of(paths.database)
        self._remembered = Remembered()
        self._judging = Threads(1, thread_name_prefix="policy")
        self._looking = Threads(1, thread_name_prefix="policy-files")
        self._own: Metadata | None = None
        self._generation: _Generation | None = None
        self._idle_until, self._idle_epoch = 0.0, b""
        self._first: asyncio.Future[_Generation] | None = None
        self._lock = asyncio.Lock()

    def start(self) -> None:
        """Look for the first time, which reads the audit log: pulls wait for it, and nothing else does."""
        self._first = asyncio.ensure_future(self._current())

    def close(self) -> None:
        """Let the threads and the connection go. Blocking."""
        self._judging.shutdown(wait=True)
        self._looking.shutdown(wait=True)
        if self._own is not None:
            self._own.close()

    def is_idle(self) -> bool:
        """As PullPolicy.is_idle."""
        return self._shared.seen() == self._idle_epoch and time.monotonic() < self._idle_until

    def stands(self, repository: str, digest: Digest, kind: Kind, change: int | None = None) -> bool:
        """As PullPolicy.stands."""
        if self.is_idle():
            return True
        generation = self._generation
        if generation is None or not self._is_current(generation):
            return False
        return self._at_hand(generation, (repository, digest, kind), change) == (None,)

    async def objection(self, repository: str, digest: Digest, kind: Kind) -> Objection | None:
        """As PullPolicy.objection."""
        asked, arrived = (repository, digest, kind), time.monotonic()
        for _ in range(_LOOKS):
            generation = self._generation
            if generation is None or not self._is_current(generation):
                generation = await self._current()
            at_hand = self._at_hand(generation, asked)
            if at_hand is not None:
                return at_hand[0]
            run = self._run(generation, asked)
            found = (await asyncio.shield(run.known)).objection
            if run.began >= arrived and await self._current() is generation:
                return found
        return _unknown(digest, "what is asked of images changes all the time")

    def _at_hand(
        self, generation: _Generation, asked: Asked, change: int | None = None
    ) -> tuple[Objection | None] | None:
        """What is known of it already, as a tuple of one; None where it has to be found out."""
        repository, digest, _ = asked
        if generation.standing.fault:
            return (_unknown(digest, generation.standing.fault),)
        if not generation.standing.asks(repository):
            return (None,)
        known = generation.known.get(asked)
        if known is None:
            return None
        stands_at = self._metadata.change_of(repository) if change is None else change
        if not known.counts(stands_at, time.monotonic()):
            return None
        return (known.objection,)

    async def stage(self, repository: str) -> Stage | None:
        """As PullPolicy.stage."""
        generation = self._generation
        if generation is None or not self._is_current(generation):
            generation = await self._current()
        return generation.standing.stage(repository)

    def _run(self, generation: _Generation, asked: Asked) -> _Run:
        """The verdict that is being found; who asks the same meanwhile waits for it, too."""
        run = generation.running.get(asked)
        if run is None:
            finding = asyncio.ensure_future(self._in_thread(self._judging, self._judge, generation, asked))
            run = generation.running[asked] = _Run(time.monotonic(), finding)
            finding.add_done_callback(functools.partial(_keep, generation, asked))
        return run

    def _judge(self, generation: _Generation, asked: Asked) -> Known:
        if self._own is None:
            self._own = Metadata(self._paths.database)
        return generation.judge.verdict(self._blobs, self._own, *asked)

    async def _current(self) -> _Generation:
        """What pulls are held against now, looked for where it may have changed."""
        if self._generation is not None and self._is_current(self._generation):
            return self._generation
        async with self._lock:
            before = self._generation
            if before is not None and self._is_current(before):
                return before
            return await self._renewed(before)

    async def _renewed(self, before: _Generation | None) -> _Generation:
        due, epoch = time.monotonic() + limits.PULL_POLICY_LOOK, self._shared.seen()
        standing = await self._in_thread(self._looking, look, self._paths, before.standing if before else None)
        if before is not None and before.standing is standing and before.epoch == epoch:
            before.due, generation = due, before
        else:
            generation = _Generation(standing, Judge(standing, self._remembered), epoch, due)
        if standing.fault and (before is None or before.standing.fault != standing.fault):
            _log.error("nothing is pulled but by who may push: %s", safe(standing.fault))
        self._generation = generation
        self._idle_until, self._idle_epoch = (due if standing.is_idle else 0.0), epoch
        return generation

    def _is_current(self, generation: _Generation) -> bool:
        return (
            generation is self._generation
            and time.monotonic() < generation.due
            and self._shared.seen() == generation.epoch
        )

    async def _in_thread(self, threads: Threads, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, functools.partial(function, *args, **kwargs))


def _keep(generation: _Generation, asked: Asked, finding: asyncio.Future[Known]) -> None:
    del generation.running[asked]
    if finding.cancelled() or finding.exception() is not None:
        return
    if len(generation.known) >= limits.PULL_VERDICTS:
        generation.known.clear()
    generation.known[asked] = finding.result()


def _unknown(digest: Digest, why: str) -> Objection:
    return Objection(enforced=True, digest=str(digest), policy=0, rule=0, why=why, asks="")
