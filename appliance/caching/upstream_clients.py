"""How the caches reach their upstreams: the client of `collect`, with its accounts, redirects, pace and mirrors.

What that client counts of one collect (requests, patience, failures) would end a process that goes on for weeks. So a
line to an upstream is begun anew from time to time, and after each rest that the upstream asked for or needs.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from appliance.limits import caching as limits
from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.access import Accesses
from appliance.outgoing.collect.host_client import Hosts
from appliance.outgoing.collect.kept import KeptBytes
from appliance.outgoing.collect.rate_limit import LIMITED
from appliance.outgoing.collect.remote import RemoteSource
from appliance.settings.caches import Cached
from appliance.settings.redirects import check_hosts
from bundles.errors import FailedError, LockgateError
from bundles.io.display import safe
from bundles.oci.reference import RemoteReference

_log: Final = logging.getLogger(__name__)


class AwayError(FailedError):
    """An upstream is left alone for `retry` seconds."""

    def __init__(self, why: str, thing: str, retry: float) -> None:
        super().__init__(why, thing=thing, remedy="try again later", code="upstream-away")
        self.retry = retry


class _UpstreamClient:
    """Connections and tokens from one beginning to the next."""

    def __init__(self, back_off: float) -> None:
        self.hosts = Hosts(back_off, lambda said: _log.warning("%s", safe(said)))
        self.sources: OrderedDict[str, RemoteSource] = OrderedDict()
        self.kept = KeptBytes(collecting_limits.COLLECT_MEMORY)
        self.begun = time.monotonic()
        self.users = 0


class _Upstream:
    """One registry that a cache fetches from."""

    def __init__(self) -> None:
        self.client: _UpstreamClient | None = None
        self.away_until = 0.0
        self.why = ""


class UpstreamClients:
    """The clients of all caches, one a registry.

    `redirects`: by host, where it may send on to, as config.toml has it.
    """

    def __init__(
        self, accesses: Accesses, redirects: Mapping[str, Sequence[str]],
        back_off: float = collecting_limits.REMOTE_BACK_OFF, away: float = limits.CACHE_AWAY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._accesses, self._redirects, self._back_off = accesses, redirects, back_off
        self._away, self._clock = away, clock
        self._upstreams: dict[str, _Upstream] = {}

    @asynccontextmanager
    async def source(self, cached: Cached) -> AsyncIterator[RemoteSource]:
        """A repository's upstream. Raises AwayError while it is left alone; errors inside decide for how long."""
        upstream = self._upstreams.setdefault(cached.host.lower(), _Upstream())
        left = upstream.away_until - self._clock()
        if left > 0:
            raise AwayError(upstream.why, cached.host, left)
        line = upstream.client
        if line is None or self._clock() - line.begun > limits.CACHE_LINE:
            upstream.client = fresh = _UpstreamClient(self._back_off)
            if line is not None:
                await _end(line)
            line = fresh
        line.users += 1
        try:
            yield self._source(line, cached)
        except LockgateError as error:
            rest = line.hosts.rest(cached.host)
            if error.code == LIMITED:
                rest = rest or 0.0
            if rest is not None and upstream.client is line:
                upstream.away_until = self._clock() + max(rest, self._away)
                upstream.why, upstream.client = error.what, None
                _log.warning("an upstream is left alone for %d s: %s", max(rest, self._away), safe(error.diagnostics()))
            raise
        finally:
            line.users -= 1
            if line is not upstream.client:
                await _end(line)

    def _source(self, line: _UpstreamClient, cached: Cached) -> RemoteSource:
        source = line.sources.pop(cached.repository, None)
        if source is None:
            reference = RemoteReference.parse(f"{cached.host}/{cached.repository}:latest")
            source = RemoteSource(
                reference, None, line.hosts, accesses=self._accesses, narrowed=self._narrowed, kept=line.kept,
                say=lambda said: _log.warning("%s", safe(said)),
            )  # fmt: skip
        line.sources[cached.repository] = source
        if len(line.sources) > limits.CACHE_SOURCES:
            line.sources.popitem(last=False)
        return source

    def _narrowed(self, host: str) -> list[tuple[str, ...]]:
        found = self._redirects.get(host.lower())
        return [] if found is None else [check_hosts(found)]

    async def close(self) -> None:
        """Let go of all connections."""
        for upstream in self._upstreams.values():
            if upstream.client is not None:
                await upstream.client.hosts.close()


async def _end(line: _UpstreamClient) -> None:
    """Close what is used no more."""
    if line.users == 0:
        await line.hosts.close()
