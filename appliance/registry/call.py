"""One request on its way through a handler: what it names, who may do it, and the helpers handlers share."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording_async
from appliance.limits import store as store_limits
from appliance.registry import errors
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.pull_policy import Objection
from appliance.registry.routes import Target
from appliance.registry.services import ACTOR, COLLECTED, Action, RegistryServices
from appliance.registry.watch import phase, trace_of
from appliance.registry.worker import Worker
from appliance.settings.gates import Stage, require_entry
from appliance.store.database import open_reader
from appliance.store.reads import tombstones
from appliance.store.reads.left_out import left_out_platform
from appliance.store.rows import WrongRowError
from appliance.store.writes.registry import ClientWrite, holds_released
from appliance.store.writes.rows import Kind
from appliance.tracing.context import HEADER
from bundles.errors import FailedError, MalformedError
from bundles.io.display import safe
from bundles.oci.digest import Digest

_GATE_POLL: Final = 0.01
_WARNED: Final = 300
"""Characters of a warning in a header."""


def _happened(result: object) -> bool:
    return result is not False


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
