"""The control API's client: what the command line and the console are made over."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from appliance.api.errors import NO_ANSWER, NOT_RUNNING
from appliance.api.states import FINAL_STATES
from appliance.control import local_http
from appliance.handles.giving import BrokenOffError, document_of, hand_again, hand_over, hand_secret
from appliance.handles.path_params import JOB_PATHS, PLAN_PATHS, PathParam
from appliance.local_socket import ShortPath
from appliance.paths import StationPaths
from appliance.tracing.context import HEADER, TraceContext
from bundles.errors import FailedError, LockgateError, NotFoundError, UsageError, from_wire
from bundles.io.secret import Secret

Json = dict[str, Any]
Handed = TypeVar("Handed")
_ATTEMPTS: Final = 40
_PAUSE: Final = 0.25
"""A watcher that lost the station looks for it again this often, ten seconds in all: a restart takes about one."""

_SILENCE: Final = 30.0
"""Seconds without a word after which a watched station is taken for gone. It sends something every five."""


def _quiet(_: str) -> None:
    """Tell nobody."""


class ControlClient:
    """A client of the station in `root`; an async context manager.

    Every method raises the LockgateError that the station answered with, or FailedError where it is not running.
    """

    def __init__(self, root: Path, timeout: float | None = 60.0, session: str | None = None) -> None:
        """`session`: what `log_in` returned, where one calls as a person and not as the system account. It may be
        set later, and changed: `client.session = …`."""
        self._root = root.resolve()
        self._session = None if session is None else Secret(session)
        self._timeout = timeout
        self._short = ShortPath(StationPaths(self._root).control_socket)

    async def __aenter__(self) -> ControlClient:
        try:
            self._socket = self._short.__enter__()
        except OSError:
            raise self._gone() from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._short.__exit__()

    @property
    def session(self) -> str | None:
        """The session's token, for whoever keeps it. Here it is a `Secret`, which no traceback shows."""
        return None if self._session is None else self._session.reveal()

    @session.setter
    def session(self, token: str | None) -> None:
        self._session = None if token is None else Secret(token)

    def wait_for(self, seconds: float) -> None:
        """Wait so long for each answer from now on."""
        self._timeout = seconds

    def _gone(self) -> FailedError:
        if self._is_held():
            return FailedError(
                "the station is starting, or starts its control process again", thing=str(self._root),
                remedy="try again in a moment; its error output says why where it takes longer", code=NOT_RUNNING,
            )  # fmt: skip
        return FailedError(
            "the station is not running", thing=str(self._root),
            remedy=f"start it with: lockgate serve -C {self._root}", code=NOT_RUNNING,
        )  # fmt: skip

    def _is_held(self) -> bool:
        """Whether a process holds the station's lock (proc(5), /proc/locks): it runs, whoever answers. False where that
        cannot be seen."""
        try:
            inode = StationPaths(self._root).lock.stat().st_ino
            locks = Path("/proc/locks").read_text()
        except OSError:
            return False
        return any(f":{inode} " in line and "FLOCK" in line for line in locks.splitlines())

    async def _comes_back(self, since: float) -> bool:
        """Wait a moment for a control process that is started again, and say whether to ask it."""
        if time.monotonic() - since > _ATTEMPTS * _PAUSE or not self._is_held():
            return False
        await asyncio.sleep(_PAUSE)
        return True

    async def request(self, method: str, path: str, body: Json | None = None, **query: object) -> Json:
        """One request; query values that are None or empty are left out. A path with an empty, `.` or `..` segment is
        refused: a name that somebody typed stands there, and it would lead to another resource (RFC 3986, 5.2.4)."""
        _require_segments(path)
        wanted = {key: str(value) for key, value in query.items() if value not in (None, "")}
        target = _escaped(path) + (f"?{urlencode(wanted)}" if wanted else "")
        sent, since = None if body is None else local_http.Body(json.dumps(body).encode()), time.monotonic()
        while True:
            try:
                return await self._ask_once(method, path, target, sent)
            except local_http.ConnectError:  # nothing was sent
                if not await self._comes_back(since):
                    raise self._gone() from None

    async def _ask_once(self, method: str, path: str, target: str, sent: local_http.Body | None) -> Json:
        try:
            async with (
                asyncio.timeout(self._timeout),
                local_http.request(self._socket, method, target, self._headers(), sent) as answer,
            ):
                document: Json = json.loads(await answer.body())
        except local_http.ConnectError:
            raise
        except TimeoutError:
            raise FailedError(
                "the station did not answer in time", thing=path, remedy="try again", code=NO_ANSWER
            ) from None
        except (local_http.GarbledError, OSError, ValueError, RecursionError) as error:
            raise FailedError(
                "the station did not answer", thing=str(error)[:160], remedy="look at its log, try again",
                code=NO_ANSWER,
            ) from None  # fmt: skip
        if answer.status >= 400:
            raise from_wire(document)
        return document

    async def get(self, path: str, **query: object) -> Json:
        """GET, with a query."""
        return await self.request("GET", path, None, **query)

    async def fetch(self, path: str, take: Callable[[bytes], object], **query: object) -> None:
        """GET bytes of any length, handed over as they come. Raises as `request`, FailedError where they break off."""
        _require_segments(path)
        target = f"{_escaped(path)}?{urlencode({key: str(value) for key, value in query.items()})}"
        try:
            async with local_http.request(self._socket, "GET", target, self._headers()) as answer:
                if answer.status >= 400:
                    raise from_wire(json.loads(await answer.body()))
                async for block in answer.blocks(self._timeout or _SILENCE):
                    take(block)
        except local_http.ConnectError:
            raise self._gone() from None
        except (local_http.GarbledError, ConnectionError, TimeoutError, ValueError) as error:
            raise FailedError(
                "the station's answer broke off", thing=str(error)[:160], remedy="look at its log, try again",
                code=NO_ANSWER,
            ) from None  # fmt: skip

    async def post(self, path: str, body: Json | None = None) -> Json:
        """POST a JSON body."""
        return await self.request("POST", path, body or {})

    def _headers(self) -> dict[str, str]:
        trace = TraceContext.parse([os.environ.get("TRACEPARENT", "")])
        passed: dict[str, str | Secret] = {} if trace is None else {HEADER: str(trace)}
        return passed | ({"Authorization": Secret("Bearer " + self._session)} if self._session else {})

    async def log_in(self, account: str, password: str, kind: str = "person") -> Json:
        """Be that account from now on, a person by its password or a robot by its secret; returns who that is. Raises
        RefusedError, and then nothing has changed."""
        answer = await self.post("/v1/session", {"account": account, "password": Secret(password), "kind": kind})
        self.session = str(answer.pop("session"))
        return answer

    async def who(self) -> Json:
        """Who one is: account, roles, permissions."""
        return await self.get("/v1/session")

    async def log_out(self) -> None:
        """End the session; it is forgotten here whatever the station says."""
        try:
            await self.request("DELETE", "/v1/session")
        finally:
            self.session = None

    async def status(self) -> Json:
        """The station at a glance."""
        return await self.get("/v1/status")

    async def submit(
        self,
        kind: str,
        params: Mapping[str, Any],
        *,
        authfile: Path | None = None,
        warn: Callable[[str], None] = _quiet,
        secret: bytes | None = None,
    ) -> Json:
        """Queue a job; returns it. Paths in the params, and the receipt that a build stands on, are opened here, by
        this process's own rights, and handed over. So are this user's accounts at the registries that a collection
        names: from `authfile`, else from where podman and docker keep them; `warn` is told of what is to be said."""
        given = await self._hand_over(params, JOB_PATHS.get(kind, ()))
        if kind == "build":
            given = await _with_document(given)
        if kind == "collect":
            given |= await self._accounts(given, authfile, warn)
        if secret is not None:
            given |= {"secret": {"handle": await self._handing(lambda: hand_secret(self._root, secret))}}
        return await self.post("/v1/jobs", {"kind": kind, "params": given})

    async def _accounts(self, params: Json, authfile: Path | None, warn: Callable[[str], None]) -> Json:
        """`accounts` of a collection's params, handed over; nothing where this user has none for its registries.
        Raises UsageError naming a file and key, FailedError for a credential helper that fails."""
        from appliance.upstreams.auth_files import accounts_for, has_files  # here: few commands collect

        sources = params.get("sources") or ()
        references = [str(source.get("reference")) for source in sources if source.get("kind") in ("registry", "tags")]
        if not references or not has_files(authfile, os.environ):
            return {}
        asked = await self.post("/v1/upstreams", {"references": list(dict.fromkeys(references))})
        places = [(str(one["host"]), str(one["repository"])) for one in asked["items"]]
        accounts, said = await asyncio.to_thread(accounts_for, places, authfile, os.environ)
        for line in said:
            warn(line)
        if not accounts:
            return {}
        handle = await self._handing(lambda: hand_secret(self._root, accounts.encode()))
        return {"accounts": {"handle": handle, "hosts": accounts.hosts}}

    async def resume(self, job_id: str) -> Json:
        """Hand a job in `waiting` its paths over again, as this process opens them now; returns it."""
        job = await self.job(job_id)
        if job["state"] != "waiting":
            raise UsageError(
                "the job does not wait for a path", thing=f"{job_id} is {job['state']}", remedy="see: lockgate job list"
            )
        paths = await self._handing(lambda: hand_again(self._root, job["waits_for"]))
        return await self.post(f"/v1/jobs/{quote(job_id, safe='')}/resume", {"paths": paths})

    async def plan(self, params: Mapping[str, Any]) -> Json:
        """What a build would carry; paths and the receipt as `submit` takes them."""
        given = await _with_document(await self._hand_over(params, PLAN_PATHS))
        return await self.post("/v1/plans", given)

    async def take_statement(self, path: Path) -> Json:
        """Hand in a receipt or want-list that came back, read here."""
        statement = await asyncio.to_thread(document_of, path)
        return await self.post("/v1/receipts", {"statement": statement})

    async def _hand_over(self, params: Mapping[str, Any], table: Sequence[PathParam]) -> Json:
        return await self._handing(lambda: hand_over(self._root, params, table))

    async def _handing(self, hand: Callable[[], Handed]) -> Handed:
        """Hand something over in a thread, and again where a control process is started again meanwhile."""
        since = time.monotonic()
        while True:
            try:
                return await asyncio.to_thread(hand)
            except BrokenOffError as error:
                if await self._comes_back(since):
                    continue
                raise (self._gone() if error.code == NOT_RUNNING else error) from None

    async def job(self, job_id: str) -> Json:
        """A job as it stands."""
        return await self.get(f"/v1/jobs/{quote(job_id, safe='')}")

    async def cancel(self, job_id: str) -> Json:
        """Cancel a job; returns it, ended."""
        return await self.post(f"/v1/jobs/{quote(job_id, safe='')}/cancel")

    async def to_sign(self, job_id: str) -> tuple[bytes, list[str], Json]:
        """What a job in `to-sign` waits for: the exact bytes, the keys' ids, and a description."""
        answer = await self.get(f"/v1/jobs/{quote(job_id, safe='')}/to-sign")
        return base64.b64decode(answer["payload"]), list(answer["keyids"]), dict(answer["describe"])

    async def sign(self, job_id: str, keyid: str, signature: bytes) -> Json:
        """Hand in a signature."""
        body = {"keyid": keyid, "signature": base64.b64encode(signature).decode()}
        return await self.post(f"/v1/jobs/{quote(job_id, safe='')}/signatures", body)

    async def watch(self, job_id: str) -> AsyncGenerator[tuple[str, Any], None]:
        """`("job", document)` and `("log", line)` as they come, until the job has ended.

        A station that is started again is found again. Raises FailedError where it stays away.
        """
        failures = 0
        while True:
            heard = False
            # What breaks off, or holds words that are none: a station that stops may end in the midst of an event.
            with contextlib.suppress(local_http.GarbledError, OSError, ValueError, RecursionError, KeyError, TypeError):
                async for name, data in self._events(job_id):
                    heard = True
                    yield name, data
                    if name == "job" and data["state"] in FINAL_STATES:
                        return
            failures = 0 if heard else failures + 1
            if failures > _ATTEMPTS:
                raise self._gone() from None
            await asyncio.sleep(_PAUSE)

    async def _events(self, job_id: str) -> AsyncIterator[tuple[str, Any]]:
        path = f"/v1/jobs/{quote(job_id, safe='')}/events"
        _require_segments(path)
        async with local_http.request(self._socket, "GET", _escaped(path), self._headers()) as answer:
            if answer.status >= 400:
                raise from_wire(json.loads(await answer.body()))
            name = ""
            async with contextlib.aclosing(answer.lines(_SILENCE)) as lines:
                async for line in lines:
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        yield name, json.loads(line.removeprefix("data: "))


def _require_segments(path: str) -> None:
    if any(segment in ("", ".", "..") for segment in path.removeprefix("/").split("/")):
        raise NotFoundError("no such name", thing=path, remedy="give the whole name or id, as the list shows it")


def _escaped(path: str) -> str:
    """A path with what may not stand in one escaped; escapes that are there stay (RFC 3986, 3.3)."""
    return quote(path, safe="/%:@!$&'()*+,;=")


async def _with_document(params: Json) -> Json:
    since = params.get("since")
    if not isinstance(since, str) or since in ("none", "last"):
        return params
    if not since.startswith("/"):
        raise UsageError(
            "neither last nor none, and no receipt's full path",
            thing=f"since {since!r}"[:120],
            remedy="say last, none, or name a receipt or want-list",
        )
    return params | {"since": await asyncio.to_thread(document_of, Path(since))}


def error_of(job: Json) -> LockgateError | None:
    """The error a job ended with, or None."""
    return None if job.get("error") is None else from_wire(job["error"])
