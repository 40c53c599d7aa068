"""The real station: the control client's JSON as the shapes of `appliance.api`, and a lost line as
`StationLostError`.

The client is opened at the first question, in a thread: HTTP costs more to import than the console's first paint.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from appliance.api.audit import Event
from appliance.api.bundles import Medium, OutgoingBundle, Plan, TakenStatement
from appliance.api.common import Page
from appliance.api.content import Artifact, Component, FoundItem, Repository, Tag
from appliance.api.errors import LOG_IN_CODES, LOST_CODES
from appliance.api.intake import IntakeDetail, IntakeEntry, LedgerRow, ReleaseAnswer, Stream
from appliance.api.jobs import Job, JobEvent, LogPart, ToSign
from appliance.api.people import Who
from appliance.api.status import Status
from appliance.api.trust import OwnKey, TrustedKey, TrustRule
from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.io.secret import Secret
from tui.station.port import NotLoggedInError, StationLostError
from tui.station.station_folder import Desk, FolderDesk

if TYPE_CHECKING:
    from appliance.control.client import ControlClient

T = TypeVar("T")


def _as(shape: type[T], document: object) -> T:
    """JSON as a shape. Raises FailedError where the station speaks another language than this console."""
    try:
        return msgspec.convert(document, shape, strict=False)
    except msgspec.ValidationError as error:
        raise FailedError(
            "the station's answer is not understood", thing=str(error), remedy="console and station differ in version"
        ) from None


def _as_known(error: LockgateError) -> LockgateError:
    """The error as the console tells them apart: a lost line, a missing log-in, anything else."""
    if error.code in LOST_CODES:
        return StationLostError(error.what, thing=error.thing, remedy=error.remedy, code=error.code)
    if error.code in LOG_IN_CODES:
        return NotLoggedInError(error.what, thing=error.thing, remedy=error.remedy, code=error.code)
    return error


class ControlStation:
    """`tui.station.port.Station` over the control socket of the station in `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._desk = FolderDesk(root)
        self._client: ControlClient | None = None
        self._opening = asyncio.Lock()
        self._session: Secret | None = None
        self._shut = False
        self._is_open = False
        self._ending = asyncio.Lock()

    @property
    def desk(self) -> Desk:
        return self._desk

    @property
    def folder(self) -> str:
        return str(self._root)

    async def _open(self) -> ControlClient:
        async with self._opening:
            if self._client is None:
                make = await asyncio.to_thread(_client_class)
                self._client = await make(self._root, session=self._session).__aenter__()
            return self._client

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, object]) -> Any:
        sent = dict(body) if body is not None else None
        return await self._ask(lambda client: client.request(method, path, sent, **query))

    async def _ask(self, question: Callable[[ControlClient], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        asked_by = self._session
        try:
            return await self._ask_once(question)
        except NotLoggedInError:
            async with self._ending:  # a log-in that has begun comes to its end
                pass
            if self._shut or self._session is None or self._session is asked_by:
                raise
        return await self._ask_once(question)  # refused by the log-in before: one's own password was changed

    async def _ask_once(self, question: Callable[[ControlClient], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        try:
            client = await self._open()
            await self._require_somebody(client)
            return await question(client)
        except (FailedError, RefusedError) as error:
            if error.code in LOST_CODES:
                await self.close()
            raise _as_known(error) from None

    async def _require_somebody(self, client: ControlClient) -> None:
        """Go on only for who logged in here, or on an open station, where nobody does. Raises NotLoggedInError.

        A system account stands for nobody at a screen, though an account may be bound to it: whoever stands before the
        screen is not known by it, and a service's account is nobody at all.
        """
        if not self._shut and self._session is None and not self._is_open:
            self._is_open = bool((await client.who())["open"])
        if self._shut or (self._session is None and not self._is_open):
            raise NotLoggedInError("nobody is logged in", remedy="log in")

    async def who(self) -> Who:
        return await self.fetch(Who, "/v1/session")

    async def log_in(self, account: str, password: str) -> Who:
        async with self._ending:
            try:
                client = await self._open()
                answer = await client.log_in(account, password)
            except (FailedError, RefusedError) as error:
                raise _as_known(error) from None
            self._session, self._shut = Secret(client.session or ""), False
            return _as(Who, answer)

    async def log_out(self) -> None:
        self._shut = True
        async with self._ending:
            client, self._session = self._client, None
            if client is not None and client.session is not None:
                with contextlib.suppress(LockgateError):
                    await client.log_out()

    async def fetch(self, shape: type[T], path: str, **query: object) -> T:
        return _as(shape, await self._call("GET", path, None, query))

    async def lines(self, shape: type[T], path: str, take: Callable[[T], object], **query: object) -> None:
        rest = b""

        def taken(block: bytes) -> None:
            nonlocal rest
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                take(_as(shape, json.loads(line)))

        async def fetched(client: ControlClient) -> dict[str, Any]:
            await client.fetch(path, taken, **query)
            return {}

        await self._ask(fetched)

    async def send(self, shape: type[T], path: str, body: Mapping[str, Any]) -> T:
        return _as(shape, await self._call("POST", path, body, {}))

    async def remove(self, shape: type[T], path: str) -> T:
        return _as(shape, await self._call("DELETE", path, None, {}))

    async def status(self) -> Status:
        return await self.fetch(Status, "/v1/status")

    async def repositories(self, *, matching: str = "", limit: int = 200, after: str | None = None) -> Page[Repository]:
        return await self.fetch(Page[Repository], "/v1/repositories", filter=matching, limit=limit, after=after)

    async def tags(
        self, repository: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[Tag]:
        path = f"/v1/repositories/{quote(repository)}/tags"
        return await self.fetch(Page[Tag], path, filter=matching, limit=limit, after=after)

    async def artifact(self, reference: str) -> Artifact:
        return await self.fetch(Artifact, "/v1/artifact", ref=reference)

    async def sbom(
        self, digest: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[Component]:
        return await self.fetch(Page[Component], "/v1/sbom", digest=digest, filter=matching, limit=limit, after=after)

    async def find(self, query: str, *, limit: int = 20) -> tuple[FoundItem, ...]:
        return (await self.fetch(Page[FoundItem], "/v1/find", q=query, limit=limit)).items

    async def plan(self, params: Mapping[str, Any]) -> Plan:
        return _as(Plan, await self._ask(lambda client: client.plan(params)))

    async def start_job(self, kind: str, params: Mapping[str, Any]) -> Job:
        return _as(Job, await self._ask(lambda client: client.submit(kind, params)))

    async def jobs(self, *, state: str = "", limit: int = 200, after: str | None = None) -> Page[Job]:
        return await self.fetch(Page[Job], "/v1/jobs", state=state, limit=limit, after=after)

    async def job(self, job_id: str) -> Job:
        return await self.fetch(Job, f"/v1/jobs/{quote(job_id, safe='')}")

    async def cancel_job(self, job_id: str) -> Job:
        return await self.send(Job, f"/v1/jobs/{quote(job_id, safe='')}/cancel", {})

    async def dismiss_job(self, job_id: str) -> Job:
        return await self.send(Job, f"/v1/jobs/{quote(job_id, safe='')}/dismiss", {})

    async def job_events(self, job_id: str) -> AsyncIterator[JobEvent]:
        try:
            client = await self._open()
            await self._require_somebody(client)
            async with contextlib.aclosing(client.watch(job_id)) as events:
                async for name, data in events:
                    if name == "job":
                        yield JobEvent(job=_as(Job, data))
                    elif name == "log":
                        yield JobEvent(log=str(data))
        except (FailedError, RefusedError) as error:
            raise _as_known(error) from None

    async def job_log(self, job_id: str, *, after: int = 0) -> LogPart:
        return await self.fetch(LogPart, f"/v1/jobs/{quote(job_id, safe='')}/log", after=after)

    async def to_sign(self, job_id: str) -> ToSign:
        return await self.fetch(ToSign, f"/v1/jobs/{quote(job_id, safe='')}/to-sign")

    async def give_signature(self, job_id: str, keyid: str, signature: bytes) -> Job:
        body = {"keyid": keyid, "signature": base64.b64encode(signature).decode()}
        return await self.send(Job, f"/v1/jobs/{quote(job_id, safe='')}/signatures", body)

    async def intake(self, *, state: str = "", limit: int = 200, after: str | None = None) -> Page[IntakeEntry]:
        return await self.fetch(Page[IntakeEntry], "/v1/intake", state=state, limit=limit, after=after)

    async def intake_entry(self, bundle: str) -> IntakeDetail:
        return await self.fetch(IntakeDetail, f"/v1/intake/{quote(bundle, safe='')}")

    async def approval_payload(self, bundle: str, *, keyid: str, decision: str, why: str = "") -> bytes:
        path = f"/v1/intake/{quote(bundle, safe='')}/approval"
        answer = await self.fetch(ToSign, path, keyid=keyid, decision=decision, why=why)
        return base64.b64decode(answer.payload)

    async def give_approval(self, bundle: str, *, payload: bytes, keyid: str, signature: bytes) -> IntakeDetail:
        body = {
            "payload": base64.b64encode(payload).decode(),
            "keyid": keyid,
            "signature": base64.b64encode(signature).decode(),
        }
        return await self.send(IntakeDetail, f"/v1/intake/{quote(bundle, safe='')}/approval", body)

    async def release(self, bundle: str) -> ReleaseAnswer:
        return await self.send(ReleaseAnswer, f"/v1/intake/{quote(bundle, safe='')}/release", {})

    async def streams(self) -> tuple[Stream, ...]:
        return (await self.fetch(Page[Stream], "/v1/streams")).items

    async def ledger(self, *, stream: str = "", limit: int = 200, after: str | None = None) -> Page[LedgerRow]:
        return await self.fetch(Page[LedgerRow], "/v1/ledger", stream=stream, limit=limit, after=after)

    async def bundles(self) -> tuple[OutgoingBundle, ...]:
        return (await self.fetch(Page[OutgoingBundle], "/v1/bundles", limit=1000)).items

    async def take_statement(self, path: str) -> TakenStatement:
        return _as(TakenStatement, await self._ask(lambda client: client.take_statement(Path(path))))

    async def trust(self) -> tuple[TrustedKey, ...]:
        return (await self.fetch(Page[TrustedKey], "/v1/trust")).items

    async def rules(self) -> tuple[TrustRule, ...]:
        return (await self.fetch(Page[TrustRule], "/v1/trust/rules")).items

    async def keys(self) -> tuple[OwnKey, ...]:
        return (await self.fetch(Page[OwnKey], "/v1/keys")).items

    async def media(self) -> tuple[Medium, ...]:
        return (await self.fetch(Page[Medium], "/v1/media")).items

    async def audit(self, *, limit: int = 200, after: str | None = None) -> Page[Event]:
        return await self.fetch(Page[Event], "/v1/audit", limit=limit, after=after)

    async def close(self) -> None:
        client, self._client, self._is_open = self._client, None, False
        if client is not None:
            await client.__aexit__(None, None, None)


def _client_class() -> type[ControlClient]:
    from appliance.control.client import ControlClient

    return ControlClient
