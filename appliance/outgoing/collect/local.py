"""A source on this machine (appliance.outgoing.collect.sources), for the event loop of a collect: it is read in
threads, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from appliance.outgoing.collect.evidence import Evidence
from appliance.outgoing.collect.sources import Root, Source
from appliance.outgoing.collect.tasks import in_thread
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest


class LocalSource:
    """A layout, an archive or a file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.turn = asyncio.Lock()
        """Held while a thread reads the source."""

    async def roots(self) -> AsyncIterator[Root]:
        """What is to be taken, found as it is asked for. Raises a LockgateError that names the source."""
        async with self.turn:
            found = iter(await in_thread(self._source.roots))
        while (root := await self._next(found)) is not None:
            yield root

    async def _next(self, found: Iterator[Root]) -> Root | None:
        async with self.turn:
            return await in_thread(next, found, None)

    async def manifest(self, descriptor: Descriptor) -> bytes:
        """As Source.manifest."""
        async with self.turn:
            return await in_thread(self._source.manifest, descriptor)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """As Source.blob. Blocking, under `turn`."""
        return self._source.blob(blob)

    async def evidence(self, digest: Digest) -> Evidence:
        """What speaks about a manifest there."""
        async with self.turn:
            referrers = await in_thread(self._source.referrers, digest)
            return Evidence(tuple(referrers), await in_thread(self._source.attached, digest))
