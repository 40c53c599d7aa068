"""The real station: the control client's JSON as the shapes of `tui.station.records`, and a lost line as
`StationLostError`.

The client is opened at the first question, in a thread: HTTP costs more to import than the console's first paint.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from bundles.errors import FailedError, LockgateError, RefusedError
from tui.station import records as shapes
from tui.station.port import NotLoggedInError, StationLostError
from tui.station.records import Page
from tui.station.station_folder import Desk, FolderDesk

if TYPE_CHECKING:
    from appliance.control.client import ControlClient

T = TypeVar("T")
_GONE: Final = ("the station is not running", "the station did not answer")
"""How the client's errors begin when the line, and not the station, said no."""

_NOBODY: Final = ("the log-in is over", "no account stands for this system account")
"""How refusals begin that a log-in mends (appliance.control.callers)."""


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
    if error.what.startswith(_GONE):
        return StationLostError(error.what, thing=error.thing, remedy=error.remedy)
    if error.what.startswith(_NOBODY):
        return NotLoggedInError(error.what, thing=error.thing, remedy=error.remedy)
    return error


class ControlStation:
    """`tui.station.port.Station` over the control socket of the station in `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._desk = FolderDesk(root)
        self._client: ControlClient | None = None
        self._opening = asyncio.Lock()
        self._session: str | None = None
        self._shut = False
        self._is_open = False
        self._ending = asyncio.Lock()

    @property
    def desk(self) -> Desk:
        return self._desk

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
        try:
            client = await self._open()
            await self._require_somebody(client)
            return await question(client)
        except (FailedError, RefusedError) as error:
            if error.what.startswith(_GONE):
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

    async def who(self) -> shapes.Who:
        return await self.fetch(shapes.Who, "/v1/session")

    async def log_in(self, account: str, password: str) -> shapes.Who:
        async with self._ending:
            try:
                client = await self._open()
                answer = await client.log_in(account, password)
            except (FailedError, RefusedError) as error:
                raise _as_known(error) from None
            self._session, self._shut = client.session, False
            return _as(shapes.Who, answer)

    async def log_out(self) -> None:
        self._shut = True
        async with self._ending:
            client, self._session = self._client, None
            if client is not None and client.session is not None:
                with contextlib.suppress(LockgateError):
                    await client.log_out()

    async def fetch(self, shape: type[T], path: str, **query: object) -> T:
        return _as(shape, await self._call("GET", path, None, query))

    async def send(self, shape: type[T], path: str, body: Mapping[str, Any]) -> T:
        return _as(shape, await self._call("POST", path, body, {}))

    async def status(self) -> shapes.Status:
        return await self.fetch(shapes.Status, "/v1/status")

    async def repositories(
        self, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[shapes.Repository]:
        return await self.fetch(Page[shapes.Repository], "/v1/repositories", filter=matching, limit=limit, after=after)

    async def tags(
        self, repository: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[shapes.Tag]:
        path = f"/v1/repositories/{quote(repository)}/tags"
        return await self.fetch(Page[shapes.Tag], path, filter=matching, limit=limit, after=after)

    async def artifact(self, reference: str) -> shapes.Artifact:
        return await self.fetch(shapes.Artifact, "/v1/artifact", ref=reference)

    async def sbom(
        self, digest: str, *, matching: str = "", limit: int = 200, after: str | None = None
    ) -> Page[shapes.Component]:
        return await self.fetch(
            Page[shapes.Component], "/v1/sbom", digest=digest, filter=matching, limit=limit, after=after
        )

    async def find(self, query: str, *, limit: int = 20) -> tuple[shapes.Found, ...]:
        return (await self.fetch(Page[shapes.Found], "/v1/find", q=query, limit=limit)).items

    async def plan(self, params: Mapping[str, Any]) -> shapes.Plan:
        return _as(shapes.Plan, await self._ask(lambda client: client.plan(params)))

    async def start_job(self, kind: str, params: Mapping[str, Any]) -> shapes.Job:
        return _as(shapes.Job, await self._ask(lambda client: client.submit(kind, params)))

    async def jobs(self, *, state: str = "", limit: int = 200, after: str | None = None) -> Page[shapes.Job]:
        return await self.fetch(Page[shapes.Job], "/v1/jobs", state=state, limit=limit, after=after)

    async def job(self, job_id: str) -> shapes.Job:
        return await self.fetch(shapes.Job, f"/v1/jobs/{quote(job_id, safe='')}")

    async def cancel_job(self, job_id: str) -> shapes.Job:
        return await self.send(shapes.Job, f"/v1/jobs/{quote(job_id, safe='')}/cancel", {})

    async def job_events(self, job_id: str) -> AsyncIterator[shapes.JobEvent]:
        try:
            client = await self._open()
            await self._require_somebody(client)
            async for name, data in client.watch(job_id):
                if name == "job":
                    yield shapes.JobEvent(job=_as(shapes.Job, data))
                elif name == "log":
                    yield shapes.JobEvent(log=str(data))
        except (FailedError, RefusedError) as error:
            raise _as_known(error) from None

    async def job_log(self, job_id: str, *, after: int = 0) -> shapes.LogPart:
        return await self.fetch(shapes.LogPart, f"/v1/jobs/{quote(job_id, safe='')}/log", after=after)

    async def to_sign(self, job_id: str) -> shapes.ToSign:
        return await self.fetch(shapes.ToSign, f"/v1/jobs/{quote(job_id, safe='')}/to-sign")

    async def give_signature(self, job_id: str, keyid: str, signature: bytes) -> shapes.Job:
        body = {"keyid": keyid, "signature": base64.b64encode(signature).decode()}
        return await self.send(shapes.Job, f"/v1/jobs/{quote(job_id, safe='')}/signatures", body)

    async def intake(self, *, state: str = "", limit: int = 200, after: str | None = None) -> Page[shapes.IntakeEntry]:
        return await self.fetch(Page[shapes.IntakeEntry], "/v1/intake", state=state, limit=limit, after=after)

    async def intake_entry(self, bundle: str) -> shapes.IntakeDetail:
        return await self.fetch(shapes.IntakeDetail, f"/v1/intake/{quote(bundle, safe='')}")

    async def approval_payload(self, bundle: str, *, keyid: str, decision: str, why: str = "") -> bytes:
        path = f"/v1/intake/{quote(bundle, safe='')}/approval"
        answer = await self.fetch(shapes.ToSign, path, keyid=keyid, decision=decision, why=why)
        return base64.b64decode(answer.payload)

    async def give_approval(self, bundle: str, *, payload: bytes, keyid: str, signature: bytes) -> shapes.IntakeDetail:
        body = {
            "payload": base64.b64encode(payload).decode(),
            "keyid": keyid,
            "signature": base64.b64encode(signature).decode(),
        }
        return await self.send(shapes.IntakeDetail, f"/v1/intake/{quote(bundle, safe='')}/approval", body)

    async def release(self, bundle: str) -> shapes.ReleaseAnswer:
        return await self.send(shapes.ReleaseAnswer, f"/v1/intake/{quote(bundle, safe='')}/release", {})

    async def streams(self) -> tuple[shapes.Stream, ...]:
        return (await self.fetch(Page[shapes.Stream], "/v1/streams")).items

    async def ledger(self, *, stream: str = "", limit: int = 200, after: str | None = None) -> Page[shapes.LedgerRow]:
        return await self.fetch(Page[shapes.LedgerRow], "/v1/ledger", stream=stream, limit=limit, after=after)

    async def bundles(self) -> tuple[shapes.OutgoingBundle, ...]:
        return (await self.fetch(Page[shapes.OutgoingBundle], "/v1/bundles", limit=1000)).items

    async def trust(self) -> tuple[shapes.TrustedKey, ...]:
        return (await self.fetch(Page[shapes.TrustedKey], "/v1/trust")).items

    async def rules(self) -> tuple[shapes.Rule, ...]:
        return (await self.fetch(Page[shapes.Rule], "/v1/trust/rules")).items

    async def keys(self) -> tuple[shapes.OwnKey, ...]:
        return (await self.fetch(Page[shapes.OwnKey], "/v1/keys")).items

    async def media(self) -> tuple[shapes.Medium, ...]:
        return (await self.fetch(Page[shapes.Medium], "/v1/media")).items

    async def audit(self, *, limit: int = 200, after: str | None = None) -> Page[shapes.AuditEvent]:
        return await self.fetch(Page[shapes.AuditEvent], "/v1/audit", limit=limit, after=after)

    async def close(self) -> None:
        client, self._client, self._is_open = self._client, None, False
        if client is not None:
            await client.__aexit__(None, None, None)


def _client_class() -> type[ControlClient]:
    from appliance.control.client import ControlClient

    return ControlClient
