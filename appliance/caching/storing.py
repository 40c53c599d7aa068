"""What an upstream gave becomes a blob of the store, and visible in the cache's repository: recorded first, as every
act. Nothing is trusted that does not have its digest."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording_async
from appliance.audit.port import AuditPort
from appliance.image_signatures.policy_in_force import Watched
from appliance.limits import store as limits
from appliance.outgoing.collect.collector import manifest_row
from appliance.outgoing.collect.tasks import in_thread
from appliance.settings.caches import Cached
from appliance.settings.gates import require_entry
from appliance.store.blobs import BlobStore
from appliance.store.partials import PartialBlob, Partials
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.registry import Metadata
from appliance.store.rows import WrongRowError
from appliance.store.writes.caches import CacheBlob, CacheManifest, NoteCachedTag
from appliance.store.writes.content import BlobRow
from appliance.store.writes.registry import ClientWrite, DeleteTag
from appliance.store.writes.write import AsyncWriter
from bundles.errors import LockgateError, NotFoundError, RefusedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import Manifest, parse_manifest

_GATE_POLL = 0.01
_ACTOR = "station"


class Storing:
    """The store of one station, for one event loop."""

    def __init__(
        self, blobs: BlobStore, metadata: Metadata, writer: AsyncWriter, audit: AuditPort, policy: Watched | None
    ) -> None:
        """`policy`: the stages that people signed; None where there can be none."""
        self.blobs, self.metadata = blobs, metadata
        self.partials = Partials(blobs)
        self._writer, self._audit, self._policy = writer, audit, policy

    async def require_may_come(self, repository: str) -> None:
        """Go on only where content may come into a repository by a fetch. Raises RefusedError."""
        if self._policy is not None:
            require_entry((await in_thread(self._policy.now)).stage(repository), repository)

    def tagged(self, repository: str, tag: str) -> ManifestFacts | None:
        """The manifest at a tag, where the repository shows it and its file is here. Point read."""
        try:
            return self._here(self.metadata.tagged_manifest(repository, tag))
        except WrongRowError:
            return None

    def shown(self, repository: str, digest: Digest) -> ManifestFacts | None:
        """As `tagged`, by the digest."""
        try:
            return self._here(self.metadata.linked_manifest(repository, digest))
        except WrongRowError:
            return None

    def shows_blob(self, repository: str, digest: Digest) -> bool:
        """Whether the repository shows a blob whose file is here with its size. Point read."""
        try:
            facts = self.metadata.linked_blob(repository, digest)
            return facts is not None and self.blobs.size(digest) == facts.size
        except (WrongRowError, NotFoundError):
            return False

    def _here(self, facts: ManifestFacts | None) -> ManifestFacts | None:
        return facts if facts is not None and self.blobs.has_blob(facts.digest) else None

    async def read(self, facts: ManifestFacts) -> bytes | None:
        """The bytes of a manifest that is here; None where they are not its digest's."""

        def look() -> bytes | None:
            with self.blobs.open_blob(facts.digest) as file:
                raw = file.read(facts.size + 1)
            return raw if Digest.of(raw, facts.digest.algorithm) == facts.digest else None

        try:
            return await in_thread(look)
        except LockgateError:
            return None

    async def keep_manifest(self, cached: Cached, repository: str, raw: bytes, digest: Digest, tag: str) -> Manifest:
        """Show a manifest, and move the tag ("" for none) to it. Raises MalformedError, RefusedError, FailedError."""
        manifest = await in_thread(_parsed, raw, digest)
        async with self._placing():
            crc32 = await in_thread(self.blobs.put, raw, digest)
            write = CacheManifest(
                repository=repository, upstream=upstream_of(cached),
                manifest=manifest_row(digest, raw, manifest, crc32),
                tag=tag, asked=now(), at=clock.now(), keeps_released=True,
            )  # fmt: skip
            detail = {"upstream": upstream_of(cached), "tags": tag} if tag else {"upstream": upstream_of(cached)}
            await self._write(write, Act.CACHE_MANIFEST, f"{repository}@{digest}", detail)
        return manifest

    async def keep_blob(self, cached: Cached, repository: str, digest: Digest, came: PartialBlob | bytes) -> None:
        """Show a blob that came whole. Raises RefusedError, also where its bytes are not its digest's; FailedError."""
        async with self._placing():
            if isinstance(came, bytes):
                size, crc32 = len(came), await in_thread(self.blobs.put, came, digest)
            else:
                await in_thread(came.commit)
                size, crc32 = came.size, came.crc32
            write = CacheBlob(
                repository=repository, upstream=upstream_of(cached), at=clock.now(), keeps_released=True,
                blob=BlobRow(digest=str(digest), size=size, crc32=crc32),
            )  # fmt: skip
            detail = {"upstream": upstream_of(cached), "size": str(size)}
            await self._write(write, Act.CACHE_BLOB, f"{repository}@{digest}", detail)

    async def note_tag(self, repository: str, tag: str) -> None:
        """The upstream says that a tag stands where it stood."""
        await self._writer.submit(NoteCachedTag(repository=repository, tag=tag, asked=now()))

    async def drop_tag(self, cached: Cached, repository: str, tag: str) -> None:
        """The upstream has a tag no more; what it named stays."""
        write = DeleteTag(repository=repository, tag=tag, keeps_released=True)
        detail = {"upstream": upstream_of(cached), "why": "the upstream has it no more"}
        await self._write(write, Act.DELETE_TAG, f"{repository}:{tag}", detail)

    async def _write(self, write: ClientWrite, act: Act, thing: str, detail: dict[str, str]) -> None:
        """As appliance.registry.call.Call.write: nobody else acts on the same things meanwhile."""
        event = AuditEvent(act, _ACTOR, thing, "done", {**detail, "keeps_released": True})
        turns, (alone, shared) = self.blobs.turns, write.things
        while (held := turns.try_take(alone, shared)) is None:  # noqa: ASYNC110  no event crosses processes
            await asyncio.sleep(limits.TURN_LOOK)
        try:
            async with recording_async(self._record, event):
                await self._writer.submit(write)
        finally:
            os.close(held)

    async def _record(self, event: AuditEvent) -> None:
        await in_thread(self._audit.record, event)

    @asynccontextmanager
    async def _placing(self) -> AsyncIterator[None]:
        """From before a blob gets its name until its link is durable (appliance.store.collection_lock)."""
        while (held := self.blobs.gate.try_place()) is None:  # noqa: ASYNC110  no event crosses processes
            await asyncio.sleep(_GATE_POLL)
        try:
            yield
        finally:
            os.close(held)


def _parsed(raw: bytes, digest: Digest) -> Manifest:
    if Digest.of(raw, digest.algorithm) != digest:
        raise RefusedError("a manifest's bytes are not its digest's", thing=str(digest), remedy="fetch it again")
    return parse_manifest(raw)


def upstream_of(cached: Cached) -> str:
    """A cached repository as it is called upstream."""
    return f"{cached.host}/{cached.repository}"


def now() -> int:
    """The station's clock, in seconds since 1970."""
    return clock.seconds(clock.now())
