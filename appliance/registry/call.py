"""One request on its way through a handler: what it names, who may do it, and the helpers handlers share."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, ParamSpec, TypeVar

from aiohttp import web

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording_async
from appliance.audit.pulls import Pulls
from appliance.limits import lifecycle as lifecycle_limits
from appliance.limits import registry as limits
from appliance.limits import store as store_limits
from appliance.registry import errors
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.kept_reads import KeptReads
from appliance.registry.live import Live
from appliance.registry.manifest_cache import ManifestCache
from appliance.registry.measuring import RegistryMeasures
from appliance.registry.pull_policy import Objection
from appliance.registry.routes import Target
from appliance.registry.services import ACTOR, COLLECTED, Action, RegistryServices
from appliance.registry.small_blobs import SmallBlobs
from appliance.registry.verified_files import VerifiedFiles
from appliance.registry.watch import phase, trace_of, watch_of
from appliance.settings.gates import Stage, require_entry
from appliance.store.database import open_reader
from appliance.store.epoch import SharedEpoch
from appliance.store.reading import facts_of
from appliance.store.reads import tombstones
from appliance.store.reads.left_out import left_out_platform
from appliance.store.reads.registry import BlobFacts, ManifestFacts
from appliance.store.rows import WrongRowError
from appliance.store.writes.checks import NoteWrongRow
from appliance.store.writes.lifecycle import CorrectBlob, NoteUnread, RecordDamage
from appliance.store.writes.registry import ClientWrite, holds_released
from appliance.store.writes.rows import Kind
from appliance.store.writes.tombstones import CountAsked
from appliance.store.writes.write import Write
from appliance.tracing.context import HEADER
from bundles.errors import FailedError, LockgateError, MalformedError, NotFoundError
from bundles.io.display import safe
from bundles.io.threads import Threads
from bundles.oci.digest import Digest

_log: Final = logging.getLogger(__name__)
_GATE_POLL: Final = 0.01
_WARNED: Final = 300
"""Characters of a warning in a header."""
P = ParamSpec("P")
T = TypeVar("T")


def _happened(result: object) -> bool:
    return result is not False


class Worker:
    """What the requests of one worker share beside the services: threads for everything that waits for a disk."""

    def __init__(self, services: RegistryServices, measures: RegistryMeasures) -> None:
        self.services, self.measures = services, measures
        self.threads = Threads(limits.REGISTRY_THREADS, thread_name_prefix="registry")
        self.manifests = ManifestCache(services.blobs, limits.MANIFEST_CACHE, SharedEpoch(services.metadata.path))
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

    async def withdraw(self, digest: Digest, inode: int) -> None:
        """Take a blob whose file has rotted away from every reader, as a scrub does, until its bytes come again.

        One at a time: who waits for the gate holds a thread, and pushes need threads to let go of it.
        """
        services = self.services
        async with self._withdrawing:
            with contextlib.ExitStack() as held:
                await self.in_thread(held.enter_context, services.blobs.gate.collecting())
                if services.blobs.inode(digest) != inode:
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
                found = await self.in_thread(self._facts_of, digest)
            except NotFoundError:
                await self.note_unread(digest, "its file is missing")
                raise wrong from None
            if found is None:
                await self.note_unread(digest, "its bytes are not its digest's")
            else:
                await self.services.writer.submit(CorrectBlob(digest=str(digest), size=found[0], crc32=found[1]))
                _log.warning("the row of blob %s was damaged, and is made anew from its whole file", digest)
            return self.services.metadata.linked_blob(repository, digest)

    def _facts_of(self, digest: Digest) -> tuple[int, int] | None:
        with self.services.blobs.open_blob(digest) as file:
            return facts_of(file.fileno(), digest)

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
        self.pulls.owe(*events)

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
        if journal is None or self.pulls.owes:
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


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose path has been understood."""

    request: web.Request
    worker: Worker
    target: Target

    @property
    def services(self) -> RegistryServices:
        return self.worker.services

    @property
    def name(self) -> str:
        """The repository's name, valid."""
        return self.target.name

    @property
    def is_cached(self) -> bool:
        """Whether the repository is a cache's."""
        return self.name.startswith(self.services.pull_through.caches.prefixes)

    @property
    def digest(self) -> Digest:
        """The path's reference as a digest. Raises RefusedRequestError with DIGEST_INVALID."""
        return parse_digest(self.target.reference)

    def require(self, action: Action) -> None:
        """Go on only where the caller may. Raises RefusedRequestError with 401 or 403."""
        refusal = self.services.access.check(self.request, action, self.name)
        if refusal is not None:
            raise RefusedRequestError(refusal)

    async def require_write(self, action: Action) -> Stage | None:
        """Go on only where the caller, and any client, may write to the repository, and return the stage that it is of.
        Raises RefusedRequestError with 401 or 403, and RefusedError. At most one point read; the transaction asks again
        (`keeps_released`, `stays`)."""
        self.require(action)
        takes_away = action == "delete"
        self.services.settings.writes.require(self.name, takes_away=takes_away)
        if self.keeps_released and self.services.metadata.holds_released(self.name):
            raise holds_released(self.name, takes_away=takes_away)
        stage = await self.services.pull_policy.stage(self.name)
        require_entry(stage, self.name, takes_away=takes_away)
        return stage

    @property
    def keeps_released(self) -> bool:
        """Whether clients may change nothing in repositories that hold released content."""
        return self.services.settings.writes.keeps_released

    def refuse_blocked(self, digest: Digest) -> None:
        """Go on only where nobody has blocked the digest. Raises RefusedRequestError with 403. Point read."""
        why = self.services.metadata.blocked(digest)
        if why is not None:
            raise RefusedRequestError(errors.blocked(digest, why))

    async def held_back(self, repository: str, digest: Digest, kind: Kind) -> Objection | None:
        """Why the policy for images holds back what a repository shows from the caller, or warns of it. Who may push
        there may pull it to sign it. Raises LockgateError."""
        found = await self._objection(repository, digest, kind)
        return None if found is None or (found.enforced and self.may("push", repository)) else found

    async def _objection(self, repository: str, digest: Digest, kind: Kind) -> Objection | None:
        policy = self.services.pull_policy
        if policy.is_idle():
            return None
        with phase(self.request, "policy"):
            return await policy.objection(repository, digest, kind)

    async def refuse_unsigned(self, digest: Digest, kind: Kind) -> dict[str, str]:
        """Go on only where the policy for images does not hold the digest back from the caller. The answer's headers
        that say what it warns of. Raises RefusedRequestError with 403; with 401 where an account may push and its token
        is not for that, since stock signers read with a token for pull until they are asked for more; with 404 or 503
        where its bytes are not here."""
        found = await self._objection(self.name, digest, kind)
        if found is None:
            return {}
        if not found.enforced:
            return {"Warning": as_warning(299, found.what)}
        push = self.services.access.check(self.request, "push", self.name)
        if push is None:
            return {}
        if found.missing:
            await self.worker.note_unread(digest, found.why)
            raise RefusedRequestError(self.damaged(digest, kind))
        error = errors.against_policy(found)
        if push.status == 401 and ACTOR in self.request:
            error = replace(error, status=401, headers=push.headers)
        raise RefusedRequestError(error)

    @asynccontextmanager
    async def placing(self) -> AsyncIterator[None]:
        """From before a blob gets its name until its link is durable: garbage collection waits for it, and it for
        garbage collection (appliance.store.collection_lock)."""
        with phase(self.request, "turn"):
            while (held := self.services.blobs.gate.try_place()) is None:  # noqa: ASYNC110  no event crosses processes
                await asyncio.sleep(_GATE_POLL)
        try:
            yield
        finally:
            os.close(held)

    def may(self, action: Action, name: str) -> bool:
        """Whether the caller may, on another repository than the path's."""
        return self.services.access.check(self.request, action, name) is None

    async def unknown(self, digest: Digest, kind: Kind) -> WireError | None:
        """The answer for what the repository does not show, where a collection took it; it is counted. None elsewhere.
        The caller may pull. Point read."""
        found = tombstones.find(self.services.metadata.connection, self.name, str(digest), kind)
        if found is None:
            return None
        self.request[COLLECTED] = kind
        await self.worker.count_asked(self.name, digest, kind)
        return errors.collected(kind, found)

    def left_out(self, digest: Digest) -> str | None:
        """As left_out_platform, for what the repository does not show, on a connection of its own. The caller may pull.
        Blocking: the records may be many."""
        with contextlib.closing(open_reader(self.services.metadata.path)) as reader:
            return left_out_platform(reader, self.name, digest)

    def asks_to_push(self, kind: Kind) -> bool:
        """Whether the request is how clients ask if they are to send content: the HEAD of an account that may push, and
        on an open station, where nobody has one, of a blob. Of a manifest it is there how clients begin a pull."""
        asks = self.request.method == "HEAD" and (ACTOR in self.request or kind == "blob")
        return asks and self.may("push", self.name)

    async def hurt(self, error: WrongRowError, digest: Digest, kind: Kind) -> WireError:
        """The answer where a row is damaged: 404 for who asks whether to send the content, which makes the row anew.
        Raises the error for everybody else."""
        if error.rows == "database" or not self.asks_to_push(kind):
            raise error
        await self.worker.note_wrong_row(error)
        return errors.damaged(kind, digest)

    def damaged(self, digest: Digest, kind: Kind) -> WireError:
        """The answer for what the repository shows and whose file is gone, or is not what it was. 404 where that is on
        record, and the content withdrawn: a client that pushes then sends it again, which heals it. 503 before: that
        it is not there would be said too early. Who asks whether to send it is told 404 in any case. Point read."""
        if self.asks_to_push(kind) or self.services.metadata.is_withdrawn(digest):
            return errors.damaged(kind, digest)
        return errors.not_in_place(kind, digest)

    async def write(
        self, write: ClientWrite, act: Act, thing: str, *, happened: Callable[[Any], bool] = _happened, **detail: str
    ) -> Any:
        """Record an act and hand its transaction to the one writer; durable when it returns.

        Recorded first: what cannot be recorded does not happen. One that then fails is recorded as that, too, and one
        of whose result `happened` says that nothing was done; else that is a result of False.
        """
        said: dict[str, object] = dict(detail)
        if self.keeps_released:  # such an act cannot have happened where released content stands
            said["keeps_released"] = True
        if (trace := trace_of(self.request)) is not None:
            said[HEADER] = str(trace)
        event = AuditEvent(act, self.request.get(ACTOR, "anonymous"), thing, "done", said)
        async with self._turn(write):
            async with recording_async(self._record, event):
                with phase(self.request, "commit"):
                    result = await self.services.writer.submit(write)
            if not happened(result):
                nothing = FailedError("nothing was changed: something else changed meanwhile")
                await self.worker.record(refusal(act, event.actor, thing, nothing, recorded=True))
        return result

    @asynccontextmanager
    async def _turn(self, write: ClientWrite) -> AsyncIterator[None]:
        """From before an act is recorded until it is durable nobody else records one on the same things
        (appliance.store.turns)."""
        turns, (alone, shared) = self.services.blobs.turns, write.things
        with phase(self.request, "turn"):
            while (held := turns.try_take(alone, shared)) is None:  # noqa: ASYNC110  no event crosses processes
                await asyncio.sleep(store_limits.TURN_LOOK)
        try:
            yield
        finally:
            os.close(held)

    async def pulled(self, digest: Digest) -> None:
        """Record that the caller takes a manifest, before it goes out; a repeated pull is counted."""
        actor, address = self.request.get(ACTOR, "anonymous"), self.request.remote or ""
        event = self.worker.pulls.note(actor, f"{self.name}@{digest}", address, self.target.reference)
        if event is not None:
            await self._record(event)

    async def _record(self, event: AuditEvent) -> None:
        with phase(self.request, "audit"):
            await self.worker.record(event)


def as_warning(code: int, said: str) -> str:
    """A header's value by which clients show a warning (distribution specification, Warnings; RFC 7234, 5.5)."""
    text = safe(said, width=_WARNED).encode("ascii", "backslashreplace").decode()
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{code} - "{escaped}"'


def parse_digest(text: str) -> Digest:
    """A digest a client named. Raises RefusedRequestError with DIGEST_INVALID."""
    try:
        return Digest.parse(text)
    except MalformedError as error:
        raise RefusedRequestError(errors.digest_invalid(error)) from None
