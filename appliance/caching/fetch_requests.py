"""How workers and jobs ask the process that fetches: a line of JSON each way, over a Unix socket of the station.

A connection is one question. Whoever closes it before the answer ends nothing but its own wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.limits import caching as limits
from appliance.local_socket import ShortPath
from appliance.registry.pull_through import Outcome
from appliance.settings.caches import Caches
from appliance.tracing.context import DONE_FOR
from bundles.oci.digest import Digest

_GONE: Final = Outcome(state="failed", why="the station's process for caches is not there", retry=5)


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for: a manifest by tag or digest, or a blob by digest. `follow` is `blob` with
    every line of PullThrough.follow for an answer."""

    kind: Literal["manifest", "blob", "follow"]
    repository: str
    reference: str
    trace: str = ""
    """The `traceparent` of who asks, "" for none."""


class Asking:
    """A `PullThrough` that asks another process."""

    def __init__(self, caches: Caches, path: Path) -> None:
        self.caches, self._path = caches, path

    async def manifest(self, repository: str, reference: str) -> Outcome:
        """As PullThrough.manifest."""
        return await self._ask(Ask("manifest", repository, reference, DONE_FOR.get()))

    async def blob(self, repository: str, digest: Digest) -> Outcome:
        """As PullThrough.blob."""
        return await self._ask(Ask("blob", repository, str(digest), DONE_FOR.get()))

    async def follow(self, repository: str, digest: Digest) -> AsyncGenerator[Outcome, None]:
        """As PullThrough.follow."""
        async for outcome in self._answers(Ask("follow", repository, str(digest), DONE_FOR.get())):
            yield outcome

    async def _ask(self, question: Ask) -> Outcome:
        async for outcome in self._answers(question):
            return outcome
        return _GONE

    async def _answers(self, question: Ask) -> AsyncGenerator[Outcome, None]:
        """The lines of an answer, the last of which ends it."""
        try:
            with ShortPath(self._path) as short:
                reader, writer = await asyncio.open_unix_connection(short, limit=limits.CACHE_ANSWER)
        except OSError:
            yield _GONE
            return
        try:
            writer.write(msgspec.json.encode(question) + b"\n")
            is_over = False
            while not is_over:
                try:
                    outcome = msgspec.json.decode(await reader.readline(), type=Outcome)
                except (OSError, ValueError):  # it ended, and what it began is taken up by the next question
                    outcome = _GONE
                is_over = outcome.state != "arriving"
                yield outcome
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
