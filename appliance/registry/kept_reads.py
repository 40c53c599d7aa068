"""What a worker has read of the metadata, kept for as long as nobody has committed anything since.

The same statement over the same database gives the same rows. Whether it is the same is one question to the engine
(`Metadata.version`), asked at least once in each turn of the event loop in which something kept is used: a request that
came in during a turn had begun before the loop looked, so what it is told stood at some moment while it was under way.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from appliance.limits import registry as limits
from appliance.limits import store as store_limits
from appliance.store.reads.content import BlobFacts, ManifestFacts
from appliance.store.reads.registry import Metadata

_NAME: Final = 1024
"""Characters of a target whose page is kept, at most."""


class KeptReads:
    """For the event loop's thread alone. `manifests` and `blobs` are by repository and reference: what is shown and
    not blocked; `changes` the numbers of repositories' changes (`Metadata.change_of`); `pages` are the heads and bodies
    of lists, by the request's target. They are looked into behind `look` alone."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._version = 0
        self._is_fresh = False
        self._bytes = 0
        self.manifests: dict[tuple[str, str], ManifestFacts] = {}
        self.blobs: dict[tuple[str, str], BlobFacts] = {}
        self.changes: dict[str, int] = {}
        self.pages: dict[str, tuple[bytes, bytes]] = {}

    def look(self, *, anew: bool = False) -> int:
        """Forget everything if anything was committed. Returns the version that what is read from here on is kept
        under. `anew`: though this turn of the loop has looked. Raises EngineError."""
        if self._is_fresh and not anew:
            return self._version
        version = self._metadata.version()
        if version != self._version:
            self._version = version
            self._forget()
        if not self._is_fresh:
            self._is_fresh = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        return version

    def keep_manifest(self, repository: str, reference: str, facts: ManifestFacts) -> None:
        """Keep what was read behind `look` without a wait."""
        if len(self.manifests) >= store_limits.ROWS_KNOWN:
            self.manifests.clear()
        if len(facts.annotations_json) < store_limits.ROW_KNOWN:
            self.manifests[repository, reference] = facts

    def keep_blob(self, repository: str, reference: str, facts: BlobFacts) -> None:
        """As `keep_manifest`."""
        if len(self.blobs) >= store_limits.ROWS_KNOWN:
            self.blobs.clear()
        self.blobs[repository, reference] = facts

    def change_of(self, repository: str) -> int:
        """`Metadata.change_of`, read behind `look` and kept."""
        change = self.changes.get(repository)
        if change is None:
            if len(self.changes) >= store_limits.ROWS_KNOWN:
                self.changes.clear()
            change = self.changes[repository] = self._metadata.change_of(repository)
        return change

    def keep_page(self, target: str, version: int, answer: web.Response) -> None:
        """Keep the answer to a list, not yet sent, whose rows were all read behind the `look` that returned `version`.
        One that another look has overtaken is not kept."""
        body = answer.body
        if version != self._version or not isinstance(body, bytes):
            return
        size = len(body) + len(target)
        if len(target) > _NAME or size > limits.KEPT_PAGES // 8 or target in self.pages:
            return
        if self._bytes + size > limits.KEPT_PAGES:
            self.pages.clear()
            self._bytes = 0
        lines = [*answer.headers.items(), ("Content-Length", str(len(body)))]
        self.pages[target] = "".join(f"{name}: {value}\r\n" for name, value in lines).encode(), body
        self._bytes += size

    def _end_turn(self) -> None:
        self._is_fresh = False

    def _forget(self) -> None:
        self.manifests.clear()
        self.blobs.clear()
        self.changes.clear()
        self.pages.clear()
        self._bytes = 0
