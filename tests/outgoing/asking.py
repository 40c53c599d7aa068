"""A registry as a source, asked from a test's own thread: an event loop that runs inside each call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from appliance.outgoing.collect.access import Accesses
from appliance.outgoing.collect.evidence import Evidence
from appliance.outgoing.collect.host_client import Hosts
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.sources import Root
from appliance.outgoing.collect.transfer import MemorySink
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.reference import RemoteReference

Answer = TypeVar("Answer")


class Asking:
    """One reference at one registry; a context manager. `said` is what a person would be told."""

    def __init__(
        self, reference: str, redirects: tuple[tuple[str, ...], ...] = (), accesses: Accesses | None = None
    ) -> None:
        self.said: list[str] = []
        self._hosts = Hosts(0.001, self.said.append)
        self._source = RemoteSource(
            RemoteReference.parse(reference), None, self._hosts, accesses=accesses, narrowed=lambda _: redirects,
            say=self.said.append,
        )  # fmt: skip
        self._runner = asyncio.Runner()

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._hosts.close())
        self._runner.close()

    def root(self) -> Root:
        async def first() -> Root:
            async for root in self._source.roots():
                return root
            raise AssertionError

        return self._run(first())

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._run(self._source.manifest(descriptor))

    def blob(self, descriptor: Descriptor) -> bytes:
        sink = MemorySink()
        self._run(self._source.fetch(descriptor, sink, lambda _: None))
        return bytes(sink.data)

    def evidence(self, digest: Digest) -> Evidence:
        return self._run(self._source.evidence(digest))

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self._runner.run(work)
