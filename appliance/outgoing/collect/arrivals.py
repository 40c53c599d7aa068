"""What one collect brings into the store: each digest once, whichever of its references name it.

A blob is recorded as soon as it is durable, and not fetched again, so a job that was cut off goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from appliance import clock
from appliance.image_signatures.policy_in_force import Watched
from appliance.jobs.kinds import GONE, JobContext
from appliance.limits import collecting as collecting_limits
from appliance.limits import store as store_limits
from appliance.outgoing.collect.entitled import Entitled
from appliance.outgoing.collect.kept import KeptBytes
from appliance.outgoing.collect.local import LocalSource
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.tasks import Turns, in_thread
from appliance.outgoing.collect.transfer import MemorySink, PartialSink
from appliance.settings.gates import Stage
from appliance.store.partials import Partials, WrongDigestError
from appliance.store.reads.content import Kind
from appliance.store.rows import WrongRowError
from appliance.store.writes.content import BlobRow
from appliance.store.writes.outgoing import RecordBlobs
from bundles.errors import RefusedError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest

ArtifactSource = RemoteSource | LocalSource

_PHASE: Final = "collect"
_READS: Final = 2
"""Blobs read from the disk at once, to see whether they are whole."""


class Meter:
    """How far a collect is, all references together: bytes that are there, of those that are known to be wanted."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._done = self._total = 0

    def expect(self, count: int) -> None:
        """So many bytes more are wanted; fewer, where negative."""
        self._total += count

    def advance(self, count: int) -> None:
        """So many bytes more are there. Raises CancelledError."""
        self._done += count
        self.attend()

    def attend(self, _: int = 0) -> None:
        """Say how far it is. Raises CancelledError."""
        self._context.progress(_PHASE, self._done, self._total)


class Arrivals:
    """Blobs and manifests on their way into a station's store. For one event loop; files are written in threads."""

    def __init__(self, context: JobContext, meter: Meter, kept: KeptBytes) -> None:
        """`kept` holds manifests that are not in the store yet."""
        self._context, self._station, self.meter = context, context.station, meter
        self._entitled = Entitled(context.station, context.actor)
        self._policy = Watched(self._station.paths)
        self._partials = Partials(self._station.blobs)
        self._partials.sweep(store_limits.PARTIAL_EXPIRES)
        self._turns = Turns()
        self._reads = asyncio.Semaphore(_READS)
        self._known: dict[Digest, BlobRow] = {}
        self._delivered: set[Digest] = set()
        """What a source of this job gave: the job's actor has it, whichever of its sources names it next."""
        self._raw = kept
        self._unrecorded: list[BlobRow] = []
        self._recording: asyncio.Future[None] | None = None

    async def stage(self, repository: str) -> Stage | None:
        """The stage of a repository by the policy in force. Raises RefusedError where that is not known."""
        return (await in_thread(self._policy.now)).stage(repository)

    async def blob(self, blob: Descriptor, source: ArtifactSource, repository: str) -> BlobRow:
        """The row of a blob that is in the store, whole, fetched from `source` where it was not, or where nothing says
        that it may be shown in `repository` otherwise (entitled.Entitled). Raises a LockgateError."""
        digest = blob.digest
        async with self._turns.turn(digest):
            is_free = digest in self._delivered or self._entitled.may_take(repository, digest)
            row = (self._known.get(digest) or await self._held(blob, "blob")) if is_free else None
            if row is not None and row.size == blob.size:
                self.meter.advance(blob.size)
            else:
                if isinstance(source, LocalSource):
                    async with source.turn:
                        row = await in_thread(self._copy, blob, source)
                else:
                    row = await self._fetched(blob, source, repository)
                self._delivered.add(digest)
                self._record(row)
            if digest in self._delivered and not self._entitled.shows(repository, digest):
                await in_thread(self._partials.note_delivered, digest, repository)
            self._known[digest] = row
            return row

    async def made(self, raw: bytes, repository: str) -> BlobRow:
        """The row of a small blob that this station made itself, in the store for `repository`."""
        digest = Digest.of(raw)
        async with self._turns.turn(digest):
            if digest not in self._known:
                crc32 = await in_thread(self._station.blobs.put, raw, digest)
                self._known[digest] = BlobRow(digest=str(digest), size=len(raw), crc32=crc32)
            self._delivered.add(digest)
            return self._known[digest]

    def forget(self, digests: Iterable[Digest], repository: str) -> None:
        """The repository shows these blobs now. Blocking."""
        for digest in digests:
            self._partials.forget(digest, repository)

    async def manifest(self, descriptor: Descriptor, source: ArtifactSource, repository: str) -> bytes:
        """A manifest's bytes. A registry is not asked for what `repository` shows, whole, or what this job brought:
        whoever names a manifest that only others show must have it. They are kept once `keep_manifest` says so."""
        digest = descriptor.digest
        async with self._turns.turn(digest):
            kept = self._raw.get(digest)
            if kept is not None:
                return kept
            row = self._known.get(digest) if digest in self._delivered else None
            if row is None and isinstance(source, RemoteSource) and self._entitled.shows_manifest(repository, digest):
                row = self._known.get(digest) or await self._held(descriptor, "manifest")
            if row is not None:
                raw = await in_thread(self._read, digest, row.size)
                if Digest.of(raw, digest.algorithm) == digest:
                    self._known[digest] = row
                    return raw
            raw = await source.manifest(descriptor)
            self._delivered.add(digest)
            self._raw.keep(digest, raw)
            return raw

    def _read(self, digest: Digest, size: int) -> bytes:
        with self._station.blobs.open_blob(digest) as file:
            return file.read(size)

    async def keep_manifest(self, digest: Digest, raw: bytes) -> int:
        """Put a manifest that is wanted into the store; durable on return. Returns its CRC-32."""
        async with self._turns.turn(digest):
            row = self._known.get(digest)
            if row is None:
                crc32 = await in_thread(self._station.blobs.put, raw, digest)
                row = self._known[digest] = BlobRow(digest=str(digest), size=len(raw), crc32=crc32)
            self._raw.take(digest)
            return row.crc32

    async def _held(self, wanted: Descriptor, kind: Kind) -> BlobRow | None:
        """What is in the store, whole. One whose file is not is fetched: what comes replaces it, and ends the record of
        its damage."""
        station, digest = self._station, wanted.digest
        try:
            facts = station.metadata.blob(digest)
        except WrongRowError:
            self._context.log(f"the row of {digest} is damaged here, and the blob is fetched again")
            return None
        if facts is None or not station.blobs.has_blob(digest):
            return None
        if kind == "blob" and facts.size != wanted.size:
            return None
        async with self._reads:
            whole = await in_thread(station.blobs.is_whole, digest, self.meter.attend)
        if not whole:
            self._context.log(f"{digest} is damaged here, and is fetched again")
            return None
        return BlobRow(digest=str(digest), size=facts.size, crc32=facts.crc32)

    def _copy(self, blob: Descriptor, source: LocalSource) -> BlobRow:
        """Take a blob from this machine. Blocking. Raises RefusedError, NotFoundError, FailedError."""
        writer = self._station.blobs.begin_blob(blob.digest, blob.size)
        try:
            for chunk in source.chunks(blob):
                writer.write(chunk)
                self.meter.advance(len(chunk))
            writer.commit()
        except BaseException:
            writer.cancel()
            raise
        return BlobRow(digest=str(blob.digest), size=blob.size, crc32=writer.crc32)

    async def _fetched(self, blob: Descriptor, source: RemoteSource, repository: str) -> BlobRow:
        """Take a blob from another machine, on from where an earlier collect was cut off; with a wrong digest at the
        end once more, whole. Raises RefusedError, NotFoundError, FailedError."""
        try:
            return await self._fetch(blob, source, repository)
        except WrongDigestError:
            self._context.log(f"{blob.digest} arrived with another digest, and is fetched again from its beginning")
            self.meter.advance(-blob.size)
            return await self._fetch(blob, source, repository)

    async def _fetch(self, blob: Descriptor, source: RemoteSource, repository: str) -> BlobRow:
        if blob.size < store_limits.PARTIAL_LEAST:
            memory = MemorySink()
            await source.fetch(blob, memory, self.meter.advance)
            crc32 = await in_thread(self._put, bytes(memory.data), blob)
            return BlobRow(digest=str(blob.digest), size=blob.size, crc32=crc32)
        partial = await in_thread(self._partials.begin, blob.digest, blob.size, repository)
        shown = _Shown(self._context, blob, partial.offset)
        try:
            if partial.offset:
                self._context.log(f"{blob.digest} goes on at {partial.offset} of {blob.size} bytes")
                await in_thread(partial.catch_up, self.meter.attend)
                self.meter.advance(partial.offset)
            await source.fetch(blob, PartialSink(partial), lambda count: self._brought(shown, count))
            await in_thread(partial.commit)
        except RefusedError:
            partial.cancel()
            raise
        finally:
            partial.keep()
            shown.end()
        return BlobRow(digest=str(blob.digest), size=partial.size, crc32=partial.crc32)

    def _brought(self, shown: _Shown, count: int) -> None:
        shown.advance(count)
        self.meter.advance(count)

    def _put(self, data: bytes, blob: Descriptor) -> int:
        found = Digest.of(data, blob.digest.algorithm)
        if found != blob.digest:
            raise WrongDigestError(
                "a blob's bytes are not its digest's", thing=f"{blob.digest} (found {found}, {len(data)} bytes)"
            )
        return self._station.blobs.put(data, blob.digest)

    def _record(self, row: BlobRow) -> None:
        """Record a durable blob, together with others that come while the record before is written."""
        self._unrecorded.append(row)
        if self._recording is None or self._recording.done():
            self._recording = asyncio.ensure_future(self._write_rows())

    async def _write_rows(self) -> None:
        while self._unrecorded:
            rows, self._unrecorded = self._unrecorded, []
            await in_thread(self._station.writer.submit, RecordBlobs(blobs=tuple(rows), at=clock.now()))

    async def recorded(self) -> None:
        """Wait until what is durable is recorded. Raises FailedError where the station is gone."""
        if self._recording is not None:
            await self._recording


class _Shown:
    """A large blob as a part of the job, from its beginning to its end."""

    def __init__(self, context: JobContext, blob: Descriptor, done: int) -> None:
        self._context, self._blob, self._done = context, blob, done
        self._is_shown = blob.size >= collecting_limits.COLLECT_PART
        self.advance(0)

    def advance(self, count: int) -> None:
        self._done += count
        if self._is_shown:
            self._context.part(str(self._blob.digest), 1, "fetching", self._done, self._blob.size)

    def end(self) -> None:
        """It is over: a job's parts are what is under way, and what failed."""
        if self._is_shown:
            self._context.part(str(self._blob.digest), 1, GONE, self._done, self._blob.size)
