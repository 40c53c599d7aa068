"""Fetches what clients ask caches for: each thing once, however many ask, and to its end, whoever goes away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from appliance.caching.blob_arrival import fetch_blob
from appliance.caching.storing import Storing, upstream_of
from appliance.caching.upstream_clients import AwayError, UpstreamClients
from appliance.limits import caching as limits
from appliance.program_log import lacking
from appliance.registry.pull_through import Outcome
from appliance.settings.caches import Cached, Caches
from bundles.errors import FailedError, LockgateError, NoSpaceError, NotFoundError, RefusedError
from bundles.io.display import safe
from bundles.oci.digest import Digest
from bundles.oci.manifest import Manifest

_log: Final = logging.getLogger(__name__)
_OWN_FAULTS: Final = frozenset({"account-wanted", "account-refused"})
"""Codes of failures that say no to this station: what it holds is not served in their place."""

Key = tuple[str, str, str]
Work = Callable[[], Coroutine[Any, Any, Outcome]]


class Fetcher:
    """A `PullThrough` for one event loop. `clock`: as time.monotonic."""

    def __init__(
        self, caches: Caches, clients: UpstreamClients, storing: Storing, *,
        stale_wait: float = limits.CACHE_STALE_WAIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.caches = caches
        self._clients, self._storing = clients, storing
        self._stale_wait, self._clock = stale_wait, clock
        self._under_way: dict[Key, asyncio.Task[Outcome]] = {}
        self._remembered: OrderedDict[Key, tuple[float, Outcome]] = OrderedDict()
        self._arriving: dict[Key, tuple[Path, int]] = {}
        """The files in which large blobs grow, and their sizes."""
        self._sizes: OrderedDict[tuple[str, Digest], int] = OrderedDict()

    async def manifest(self, repository: str, reference: str) -> Outcome:
        """As PullThrough.manifest."""
        cached = self._offered(repository)
        if isinstance(cached, Outcome):
            return cached
        if ":" in reference:
            digest = Digest.parse(reference)
            if self._storing.shown(repository, digest) is not None:
                return Outcome(state="kept")
            return await self._once(
                ("manifest", repository, reference), lambda: self._manifest(cached, repository, digest)
            )
        standing = self._storing.tagged(repository, reference) is not None
        found = await self._once(
            ("manifest", repository, reference), lambda: self._tag(cached, repository, reference),
            self._stale_wait if standing else limits.CACHE_WAIT,
        )  # fmt: skip
        if found.state == "failed" and standing and not (found.full or found.denied):
            return Outcome(state="stale", why=found.why, retry=found.retry)
        return found

    async def blob(self, repository: str, digest: Digest) -> Outcome:
        """As PullThrough.blob."""
        cached = self._offered(repository)
        if isinstance(cached, Outcome):
            return cached
        if self._storing.shows_blob(repository, digest):
            return Outcome(state="kept")
        key = ("blob", repository, str(digest))
        return await self._once(key, lambda: self._blob(cached, repository, digest), None)

    async def follow(self, repository: str, digest: Digest) -> AsyncGenerator[Outcome, None]:
        """As PullThrough.follow."""
        key = "blob", repository, str(digest)
        ending = asyncio.ensure_future(self.blob(repository, digest))
        try:
            while not ending.done():
                at = self._arriving.get(key)
                if at is not None:
                    yield Outcome(state="arriving", path=str(at[0]), size=at[1])
                    break
                await asyncio.wait({ending}, timeout=limits.CACHE_LOOK)
            yield await ending
        finally:
            ending.cancel()

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way.values()))

    async def close(self) -> None:
        """End what is under way, and let go of all connections."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._clients.close()

    def _offered(self, repository: str) -> Cached | Outcome:
        cached = self.caches.find(repository)
        return cached if cached is not None and cached.is_offered else Outcome(state="absent")

    async def _once(self, key: Key, work: Work, wait: float | None = limits.CACHE_WAIT) -> Outcome:
        """The end of a piece of work, begun here unless it is under way or its end is remembered. Who gives up, or
        waited for `wait` seconds, ends nothing."""
        until, known = self._remembered.get(key, (0.0, None))
        if known is not None:
            if until > self._clock():
                return known
            del self._remembered[key]
        task = self._under_way.get(key)
        if task is None:
            if self._has_its_share(key[1]):
                return Outcome(state="failed", why="too many things are fetched at once", retry=5)
            task = self._under_way[key] = asyncio.create_task(self._end_of(key, work))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        done, _ = await asyncio.wait({task}, timeout=wait)
        if not done:
            return Outcome(state="failed", why="the upstream does not answer in time", retry=5)
        return Outcome(state="failed", why="the station stops", retry=5) if task.cancelled() else task.result()

    def _has_its_share(self, repository: str) -> bool:
        """Whether as much is fetched for a repository's cache as may be: one whose upstream is slow leaves the others
        their part."""
        share = max(1, limits.CACHE_AT_ONCE // max(1, len(self.caches.prefixes)))
        prefix = next((one for one in self.caches.prefixes if repository.startswith(one)), "")
        return sum(key[1].startswith(prefix) for key in self._under_way) >= share

    async def _end_of(self, key: Key, work: Work) -> Outcome:
        cached = self.caches.find(key[1])
        try:
            found = await work()
        except NotFoundError:
            found = Outcome(state="absent")
        except LockgateError as error:
            found = _failed(error)
            _log.warning("a cache's %s was not fetched: %s", key[0], safe(error.diagnostics()))
        except Exception as error:
            lacks = lacking(error)
            _log.error("a cache's %s was not fetched", key[0], exc_info=None if lacks else error)
            found = Outcome(state="failed", why="the station failed" if lacks is None else str(lacks), retry=5)
        if found.state == "absent" and cached is not None and cached.settings.missing_seconds:
            self._remember(key, cached.settings.missing_seconds, found)
        elif found.state == "failed":
            self._remember(key, limits.CACHE_AWAY, found)
        return found

    def _remember(self, key: Key, seconds: float, found: Outcome) -> None:
        self._remembered[key] = (self._clock() + seconds, found)
        if len(self._remembered) > limits.CACHE_MEMORY:
            self._remembered.popitem(last=False)

    async def _tag(self, cached: Cached, repository: str, tag: str) -> Outcome:
        storing = self._storing
        try:
            async with self._clients.source(cached) as source:
                found = await source.find(tag)
                standing = storing.tagged(repository, tag)
                if standing is not None and standing.digest == found.digest:
                    raw = None
                else:
                    shown = storing.shown(repository, found.digest)
                    raw = None if shown is None else await storing.read(shown)
                    raw = await source.manifest(found) if raw is None else raw
        except NotFoundError:
            if storing.tagged(repository, tag) is not None:
                await storing.drop_tag(cached, repository, tag)
            raise
        if raw is None:
            await storing.note_tag(repository, tag)
            return Outcome(state="kept")
        await self._keep(cached, repository, raw, found.digest, tag)
        return Outcome(state="brought")

    async def _manifest(self, cached: Cached, repository: str, digest: Digest) -> Outcome:
        async with self._clients.source(cached) as source:
            raw = await source.manifest_at(digest)
        await self._keep(cached, repository, raw, digest, "")
        return Outcome(state="brought")

    async def _keep(self, cached: Cached, repository: str, raw: bytes, digest: Digest, tag: str) -> None:
        await self._storing.require_may_come(repository)
        manifest = await self._storing.keep_manifest(cached, repository, raw, digest, tag)
        self._learn(repository, manifest)
        _log.info("a manifest of %s is here: %s", upstream_of(cached), digest)

    def _learn(self, repository: str, manifest: Manifest) -> None:
        """Remember how large the blobs are that a manifest names."""
        for blob in manifest.blobs:
            self._sizes[repository, blob.digest] = blob.size
        while len(self._sizes) > limits.CACHE_MEMORY:
            self._sizes.popitem(last=False)

    async def _blob(self, cached: Cached, repository: str, digest: Digest) -> Outcome:
        await self._storing.require_may_come(repository)
        size = self._sizes.get((repository, digest))
        async with self._clients.source(cached) as source:
            if size is None:
                size = await source.blob_size(digest)
            key = "blob", repository, str(digest)
            try:
                await fetch_blob(
                    self._storing, source, cached, repository, digest, size,
                    lambda path, most: self._arriving.update({key: (path, most)}),
                )  # fmt: skip
            finally:
                self._arriving.pop(key, None)
        return Outcome(state="brought")


def _failed(error: LockgateError) -> Outcome:
    """What a failure is to clients. One line, which names no account."""
    retry = int(error.retry) + 1 if isinstance(error, AwayError) else 0
    full = isinstance(error, NoSpaceError)
    denied = not isinstance(error, FailedError) or error.code in _OWN_FAULTS
    why = error.what
    if error.code in _OWN_FAULTS:
        why = "the upstream refuses this station: its administrator sees to its account there"
    elif isinstance(error, RefusedError):
        why = f"what came from the upstream was not taken ({error.what})"
    return Outcome(state="failed", why=why[:300], retry=retry, full=full, denied=denied)
