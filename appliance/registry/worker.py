"""What the requests of one worker of the registry share: threads, caches, and notes of what was found damaged."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording_async
from appliance.audit.pulls import Pulls
from appliance.limits import lifecycle as lifecycle_limits
from appliance.limits import registry as limits
from appliance.limits import store as store_limits
from appliance.registry.kept_reads import KeptReads
from appliance.registry.live import Live
from appliance.registry.manifest_cache import ManifestCache
from appliance.registry.measuring import RegistryMeasures
from appliance.registry.services import RegistryServices
from appliance.registry.small_blobs import SmallBlobs
from appliance.registry.verified_files import VerifiedFiles
from appliance.registry.watch import watch_of
from appliance.store.epoch import epoch_of
from appliance.store.reads.content import BlobFacts, ManifestFacts
from appliance.store.rows import WrongRowError
from appliance.store.writes.checks import NoteWrongRow
from appliance.store.writes.lifecycle import CorrectBlob, NoteUnread, RecordDamage
from appliance.store.writes.rows import Kind
from appliance.store.writes.tombstones import CountAsked
from appliance.store.writes.write import Write
from bundles.errors import LockgateError, NotFoundError
from bundles.io.display import safe
from bundles.io.threads import Threads
from bundles.oci.digest import Digest

_log: Final = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """What the requests of one worker share beside the services: threads for everything that waits for a disk."""

    def __init__(self, services: RegistryServices, measures: RegistryMeasures) -> None:
        self.services, self.measures = services, measures
        self.threads = Threads(limits.REGISTRY_THREADS, thread_name_prefix="registry")
        self.epoch = epoch_of(services.metadata.path)
        self.manifests = ManifestCache(services.blobs, limits.MANIFEST_CACHE, self.epoch)
        self.pulls = Pulls()
        self.watch = watch_of(services)
        self._noting = False
        self.right: set[ManifestFacts] = set()
        self.verified = VerifiedFiles(services.settings.reverify)
        self.small = SmallBlobs(self.verified, limits.SMALL_BLOB_CACHE)
        self.kept = KeptReads(services.metadata)
        self._withdrawing = asyncio.Lock()
        self._correcting = asyncio.Lock()
        self._noted: dict[str, float] = {}
        self._soon: set[asyncio.Task[None]] = set()

    def show(self, live: Live | None) -> None:
        """Tell somebody what the worker is doing from now on; None: nobody any more."""
        self.watch = watch_of(self.services, live)

    async def withdraw(self, digest: Digest, version: int) -> None:
        """Take a blob whose file has rotted away from every reader, as a scrub does, until its bytes come again.

        One at a time: who waits for the gate holds a thread, and pushes need threads to let go of it.
        """
        services = self.services
        async with self._withdrawing:
            with contextlib.ExitStack() as held:
                await self.in_thread(held.enter_context, services.blobs.gate.collecting())
                if services.blobs.version(digest) != version:
                    return  # it was pushed again, or collected, meanwhile
                event = AuditEvent(Act.WITHDRAW_DAMAGED, "station", str(digest), "done", {"why": "rotted"})
                async with recording_async(self.record, event):
                    await services.writer.submit(RecordDamage(digest=str(digest), why="rotted", at=services.now()))
                    await self.in_thread(services.blobs.set_aside, digest)

    async def note_unread(self, digest: Digest, why: str) -> None:
        """Mark a blob that was not read to its end, so that the next scrub looks at it first and health shows it; at
        most once in `limits.UNREADABLE_NOTED` each. It is not withdrawn."""
        if self._is_noted(str(digest)):
            return
        _log.error("blob %s was not read: %s", digest, why)
        await self._note(str(digest), NoteUnread(digest=str(digest), why=why, at=self.services.now()))

    async def note_wrong_row(self, error: WrongRowError) -> None:
        """Have status name a row of the metadata that was not served because it is damaged."""
        thing = f"{error.rows} {error.repository} {error.item}"
        if self._is_noted(thing):
            return
        _log.error("%s: %s", error.what, safe(error.thing))
        note = NoteWrongRow(rows=error.rows, repository=error.repository, item=error.item, at=self.services.now())
        await self._note(thing, note)

    async def linked_blob(self, repository: str, digest: Digest) -> BlobFacts | None:
        """As `Metadata.linked_blob`; where the blob's own row is damaged, and its file is whole, the row is made anew
        from the file first. One at a time: each is a read of the whole file. Raises WrongRowError, UnreadableError."""
        try:
            return self.services.metadata.linked_blob(repository, digest)
        except WrongRowError as error:
            if error.rows != "blob":
                raise
            wrong = error
            await self.note_wrong_row(error)
        async with self._correcting:
            with contextlib.suppress(WrongRowError):
                return self.services.metadata.linked_blob(repository, digest)
            try:
                found = await self.in_thread(self.services.blobs.facts, digest)
            except NotFoundError:
                await self.note_unread(digest, "its file is missing")
                raise wrong from None
            if found is None:
                await self.note_unread(digest, "its bytes are not its digest's")
            else:
                await self.services.writer.submit(CorrectBlob(digest=str(digest), size=found[0], crc32=found[1]))
                _log.warning("the row of blob %s was damaged, and is made anew from its whole file", digest)
            return self.services.metadata.linked_blob(repository, digest)

    async def count_asked(self, repository: str, digest: Digest, kind: Kind) -> None:
        """Count that somebody asked for what was collected, for status."""
        thing = f"{kind} {repository} {digest}"
        if not self._is_noted(thing):
            await self._note(thing, CountAsked(repository=repository, digest=str(digest), kind=kind))

    def _is_noted(self, thing: str) -> bool:
        """Whether something was noted within `limits.UNREADABLE_NOTED`; from here on it is."""
        moment = time.monotonic()
        if moment - self._noted.get(thing, -limits.UNREADABLE_NOTED) < limits.UNREADABLE_NOTED:
            return True
        if len(self._noted) >= lifecycle_limits.DAMAGE_NAMED:
            self._noted.clear()
        self._noted[thing] = moment
        return False

    async def _note(self, thing: str, write: Write) -> None:
        try:
            await asyncio.wait_for(self.services.writer.submit(write), limits.UNREADABLE_NOTE)
        except (LockgateError, TimeoutError) as error:
            _log.warning("%s could not be noted: %s", safe(thing), error or "the station is busy")

    def note_soon(self, write: Write, thing: str) -> None:
        """Have something written that decides nothing and that nobody waits for; at most once in
        `limits.UNREADABLE_NOTED` each."""
        if not self._is_noted(thing):
            task = asyncio.ensure_future(self._note(thing, write))
            self._soon.add(task)
            task.add_done_callback(self._soon.discard)

    async def finish_notes(self) -> None:
        """Wait for what is being written."""
        if self._soon:
            await asyncio.wait(self._soon)

    def keep_right(self, facts: ManifestFacts) -> None:
        """Remember a row that is what its manifest's bytes say."""
        if len(self.right) >= store_limits.ROWS_KNOWN:
            self.right.clear()
        self.right.add(facts)

    async def record(self, event: AuditEvent) -> None:
        """Write an audit event without blocking the loop."""
        await self.in_thread(self.services.audit.record, event)

    async def write_pulls(self, *, all_of_them: bool = False) -> None:
        """Record repeated pulls that were counted, as `Pulls.due`. What cannot be recorded is tried again next time."""
        events = self.pulls.due(all_of_them=all_of_them)
        while events:
            try:
                await self.record(events[0])
            except LockgateError as error:
                _log.warning("counts of pulls could not be written: %s", error)
                break
            events.pop(0)
        self.pulls.keep(*events)

    async def take_up_pulls(self) -> None:
        """Record the repeated pulls that a killed worker had counted."""
        if (journal := self.services.pull_journal) is not None:
            self.pulls.take_up(await self.in_thread(journal.load))
            await self.write_pulls()

    async def note_pulls(self, *, anew: bool = False) -> None:
        """Note what was counted since the last time, so that nobody who kills this worker takes more than that away.

        The notes stay as they are while events wait for the audit log. `anew`: begin them with what counts now.
        """
        journal = self.services.pull_journal
        if journal is None or self.pulls.has_waiting:
            return
        changed = self.pulls.changed()
        try:
            if anew or not self._noting or journal.is_long:
                await self.in_thread(journal.begin, self.pulls.counted())
            elif changed:
                await self.in_thread(journal.add, changed)
            self._noting = True
        except OSError as error:  # no room, or no folder: all of it is noted once there is
            self._noting = False
            _log.warning("counts of pulls could not be noted: %s", error)

    async def in_thread(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` in one of the worker's threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, functools.partial(function, *args, **kwargs))
