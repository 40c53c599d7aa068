"""A worker with a cache over a store, and the registry that the cache fetches from, which misbehaves as told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from appliance.caching.fetcher import Fetcher
from appliance.caching.storing import Storing
from appliance.caching.upstream_clients import UpstreamClients
from appliance.outgoing.collect.access import NoAccess
from appliance.registry.services import RegistrySettings
from appliance.settings.caches import Caches, CacheSettings
from appliance.settings.client_writes import ClientWrites
from appliance.store.reads.registry import Metadata
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.caches import NoteCachedTag
from appliance.store.writes.write import AsyncGuarded
from tests.observe.counted import Counted
from tests.outgoing.small_registry import SmallRegistry
from tests.registry_server import Answer, Server, Store

Result = TypeVar("Result")
HERE = "cache/hub/team/app"
THERE = "team/app"


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class CacheSite:
    """One cache, `cache/hub/`, of `upstream`. `away`: seconds for which an upstream that failed is left alone."""

    def __init__(
        self, store: Store, upstream: SmallRegistry, *, stale_wait: float = 30.0, away: float = 15.0,
        more: dict[str, CacheSettings] | None = None, access: Any = None, pull_policy: Any = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.store, self.upstream, self.clock = store, upstream, Clock()
        self.caches = Caches({"hub": CacheSettings(upstream=upstream.host, **settings)} | (more or {}))
        self.storing = Storing(
            store.blobs, Metadata(store.paths.database), AsyncGuarded(AsyncWriterService(store.writer)), store.audit,
            None,
        )  # fmt: skip
        clients = UpstreamClients(NoAccess(), {}, back_off=0.001, away=away, clock=self.clock)
        self.fetcher = Fetcher(self.caches, clients, self.storing, stale_wait=stale_wait, clock=self.clock)
        self.counted = Counted()
        handed = {"access": access, "pull_policy": pull_policy}
        services: dict[str, Any] = {name: one for name, one in handed.items() if one is not None}
        self.server: Server = store.serve(
            pull_through=self.fetcher, measures=self.counted.measures,
            settings=RegistrySettings(writes=ClientWrites(caches=self.caches)), **services,
        )  # fmt: skip

        store.on_close(lambda: self.run(self.fetcher.close()))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Something done in the worker's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.server.loop).result(30)

    def manifest(self, reference: object, method: str = "GET", repository: str = HERE) -> Answer:
        return self.server.ask(method, f"/v2/{repository}/manifests/{reference}")

    def blob(self, digest: object, method: str = "GET", repository: str = HERE) -> Answer:
        return self.server.ask(method, f"/v2/{repository}/blobs/{digest}")

    def acts(self) -> list[tuple[str, str]]:
        """What the audit log has beside pulls."""
        return [(str(event.act), event.thing) for event in self.store.audit.events if event.act != "pull"]

    def pass_time(self, seconds: float, *tags: str) -> None:
        """Let the memory of failures be so much older, and when these tags were asked for."""
        self.clock.ahead += seconds
        for tag in tags:
            asked = int(time.time() - seconds)
            self.store.writer.submit(NoteCachedTag(repository=HERE, tag=tag, asked=asked))

    def answers(self) -> dict[str, float]:
        """How reads in caches ended since the last look, by kind and result."""
        name = 'lockgate_cache_answers_total{kind="'
        return {
            key.removeprefix(name).replace('",result="', " ").rstrip('"}'): value
            for key, value in self.counted.moved().items()
            if key.startswith(name)
        }
