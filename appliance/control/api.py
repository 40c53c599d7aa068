"""What the control API's routes share: the station behind them, who calls, answers, errors, pages."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from appliance import clock
from appliance.control.jobs import Jobs
from appliance.observe.audit import AuditEvent, refusal
from appliance.station import Station
from appliance.store.writes.base import AsyncWriter, Write
from bundles.errors import LockgateError, NotFoundError, RefusedError, UsageError, to_wire

PAGE: Final = 100
PAGE_MOST: Final = 1000
BODY: Final = 32 * 1024 * 1024
"""The largest request: an approval's document with a report beside it stays far below."""

_STATUS: Final = {1: 409, 2: 400, 3: 403, 4: 409}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Control:
    """The control process's view of the station."""

    station: Station
    writer: AsyncWriter
    jobs: Jobs
    listen: str
    started: str = field(default_factory=clock.now)

    async def record(self, event: AuditEvent) -> None:
        """Write an audit event without blocking the loop."""
        await asyncio.to_thread(self.station.audit.record, event)


def caller(request: web.Request) -> str:
    """Who calls, by the socket's peer credentials (unix(7), SO_PEERCRED): `name(uid)`.

    Raises RefusedError for anybody but root and the station's owner.
    """
    uid = peer_uid(request)
    if uid not in (0, os.geteuid()):
        raise RefusedError("this account may not use the station", thing=str(uid), remedy="call as the station's owner")
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "uid"
    return f"{name}({uid})"


def peer_uid(request: web.Request) -> int:
    """The caller's uid. Raises RefusedError where the transport has none."""
    transport = request.transport
    peer: socket.socket | None = transport.get_extra_info("socket") if transport is not None else None
    if peer is None:
        raise RefusedError("the caller is gone")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as the one JSON body, and nobody unknown past this point."""
    try:
        caller(request)
        return await handler(request)
    except LockgateError as error:
        return failure(error)
    except web.HTTPException as error:
        return failure(NotFoundError("no such resource", thing=request.path), error.status)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        return failure(UsageError("a malformed request", thing=f"{request.method} {request.path}: {error}"[:200]))


def failure(error: LockgateError, status: int | None = None) -> web.Response:
    """An error's answer."""
    code = status or (404 if isinstance(error, NotFoundError) else _STATUS[error.exit_status])
    return web.json_response({**to_wire(error), "exit_status": error.exit_status}, status=code)


async def audited(control: Control, request: web.Request, act: str, thing: str, work: Awaitable[Any]) -> Any:
    """Await `work`; a refusal or failure of it is an event before it is an answer."""
    try:
        return await work
    except LockgateError as error:
        await control.record(refusal(act, caller(request), thing, error))
        raise


async def act(control: Control, event: AuditEvent, write: Write) -> Any:
    """Record an act, then do it in one transaction. Recorded first: what cannot be recorded does not happen. One that
    then fails is recorded as that, too."""
    await control.record(event)
    try:
        return await control.writer.submit(write)
    except LockgateError as error:
        await control.record(refusal(event.act, event.actor, event.thing, error))
        raise


def page_of(request: web.Request) -> tuple[int, str, str]:
    """`limit`, `after` and `filter` of a list's query."""
    limit = int(request.query.get("limit", str(PAGE)))
    return max(1, min(limit, PAGE_MOST)), request.query.get("after", ""), request.query.get("filter", "")


def page(items: Sequence[Any], limit: int, cursor: Callable[[Any], str]) -> web.Response:
    """A list's answer: `next` is where to go on, None at the end."""
    return web.json_response(
        {"items": list(items), "next": cursor(items[-1]) if len(items) == limit and items else None}
    )
