"""What the control API's routes share: the station behind them, who calls, answers, errors, pages."""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
from aiohttp import web

from appliance import clock
from appliance.access.identity import Identity, Nobody
from appliance.api.common import Page, Shape
from appliance.audit.acts import Act, denied
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import cover, recording_async
from appliance.control.accounts_by_log import AccountsByLog
from appliance.control.activity import ActivityKeeper
from appliance.control.budgets import Budgets
from appliance.control.callers import Callers, peer_uid, system_name
from appliance.control.canary import Canary
from appliance.control.carried import CarriedTimes
from appliance.control.drop_folders import DropFolders
from appliance.control.handle_socket import Handles
from appliance.control.log_follower import LogFollower
from appliance.control.measuring import ControlMeasures
from appliance.control.program_log_sending import ProgramLogSender
from appliance.control.push_scans import PushScans
from appliance.control.release_check import ReleaseCheck
from appliance.control.replicas import Replicas
from appliance.control.request_fields import check_text, malformed, query_number
from appliance.control.standby import StandbyWatch
from appliance.control.store_totals import StoreTotals
from appliance.control.syslog import Shipper
from appliance.image_signatures.policy_in_force import PolicyInForce
from appliance.jobs.service import Jobs
from appliance.limits import control as limits
from appliance.measures.catalogue import layout
from appliance.measures.slots import Slots
from appliance.permissions import ANONYMOUS, Caller, Permission, Rules
from appliance.program_log import lacking
from appliance.release_check.account_record import ABOUT
from appliance.station import Station
from appliance.store.errors import EngineError
from appliance.store.reads.accounts import Accounts
from appliance.store.rows import damage_of, is_away
from appliance.store.writes.write import AsyncWriter, Write
from bundles.errors import FailedError, LockgateError, NoSpaceError, NotFoundError, RefusedError, to_wire
from bundles.io.display import safe

_log: Final = logging.getLogger(__name__)
_DECLINED: Final = {405: "no such method here", 413: "the request is too large"}
_STATUS: Final = {1: 409, 2: 400, 3: 403, 4: 409}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _ignored(control: Control, who: Caller, permission: Permission) -> None:
    """The hook of a control process that keeps no duties."""


@dataclass(slots=True)
class Control:
    """The control process's view of the station."""

    station: Station
    writer: AsyncWriter
    jobs: Jobs
    listen: str
    callers: Callers
    rules: Rules = field(default_factory=Rules)
    identity: Identity = field(default_factory=Nobody)
    handles: Handles = field(default_factory=Handles)
    started: str = field(default_factory=clock.now)
    releases: ReleaseCheck = field(default_factory=ReleaseCheck)
    """The check of what is shown, and what it last found."""
    totals: StoreTotals = field(default_factory=StoreTotals)
    measures: ControlMeasures = field(default_factory=lambda: ControlMeasures(Slots(layout())))
    """What this process counts, and what all of them count in."""
    carried: CarriedTimes = field(default_factory=CarriedTimes)
    follower: LogFollower = field(init=False)
    """Sees each event of the audit log."""
    budgets: Budgets = field(init=False)
    """How much of its error budgets the registry spent."""
    activity: ActivityKeeper = field(init=False)
    """What went on minute by minute."""
    starting: Callable[[], bool] = lambda: False
    """Whether processes of the station start now: what the disk's reserve gave back is then theirs."""
    read_only_since: str = ""
    """Since when the station takes no content in (appliance.control.space); "" where it does."""

    policy: PolicyInForce | None = None
    """What pulls are held against, as this process last saw it (appliance.control.policy_watch)."""

    def __post_init__(self) -> None:
        slots, paths = self.measures.slots, self.station.paths
        self.follower = LogFollower(paths)
        self.drops = DropFolders(self.station, self.jobs)
        self.push_scans = PushScans(self.station, self.jobs)
        self.replicas = Replicas(self.station, self.jobs)
        self.standby = StandbyWatch(self.station.config, paths)
        self.syslog = Shipper(self.station.config, paths, self.measures.syslog)
        self.program_log = ProgramLogSender(self.station.config, paths)
        self.canary = Canary(self.station.config, paths, self.listen, self.workers, self.measures.probed)
        self.budgets = Budgets(slots.slo, slots.layout, paths.budgets)
        self.activity = ActivityKeeper(slots.layout)

    @property
    def accounts(self) -> Accounts:
        """The station's accounts, read on the control process's own connection."""
        return Accounts(self.station.reader)

    called: Callable[[Control, Caller, Permission], Awaitable[None]] = _ignored
    """Told of each caller, and of the permission that the route takes, before its handler runs."""
    workers: int = 0
    """How many processes serve the registry."""
    canary: Canary = field(init=False)
    """The probes of the station's own canary."""
    syslog: Shipper = field(init=False)
    """What the collector gets of the audit log."""
    program_log: ProgramLogSender = field(init=False)
    """What it gets of the program's log."""
    push_scans: PushScans = field(init=False)
    """The scans of images that came in, which the station begins by itself."""
    drops: DropFolders = field(init=False)
    """The folders that bundles are dropped into."""
    replicas: Replicas = field(init=False)
    """The stations that this one follows."""
    standby: StandbyWatch = field(init=False)
    """How the stand-by of this station stands."""
    by_log: AccountsByLog = field(default_factory=AccountsByLog)
    """What this process knows of accounts by the audit log."""
    in_force: bool = False
    """Whether this process knows that a first security-officer has called (appliance.control.duties)."""
    asked_log: bool = False
    """Whether this process has asked the audit log for that."""

    async def record(self, event: AuditEvent) -> None:
        """Write an audit event without blocking the loop."""
        await asyncio.to_thread(self.station.audit.record, event)


CONTROL: Final = web.AppKey("control", Control)
_CALLER: Final = web.RequestKey("caller", Caller)


Unless = Callable[[Control, web.Request], bool]
"""Whether a request needs no permission, since it is about the caller's own account."""


def route(
    method: str, path: str, permission: Permission | Literal["anybody"], handler: Handler, unless: Unless | None = None
) -> web.RouteDef:
    """A route, and what its caller must be allowed to. What depends on a request's body, its handler asks `require`."""

    @functools.wraps(handler)
    async def guarded(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    guarded.__dict__["permission"] = permission
    guarded.__dict__["unless"] = unless
    return web.route(method, path, guarded)


def get(path: str, permission: Permission, handler: Handler, unless: Unless | None = None) -> web.RouteDef:
    """A GET that takes `permission`."""
    return route("GET", path, permission, handler, unless)


def post(path: str, permission: Permission, handler: Handler, unless: Unless | None = None) -> web.RouteDef:
    """A POST that takes `permission`."""
    return route("POST", path, permission, handler, unless)


def delete(path: str, permission: Permission, handler: Handler) -> web.RouteDef:
    """A DELETE that takes `permission`."""
    return route("DELETE", path, permission, handler)


ANYBODY: Final = "anybody"


def anybody(method: str, path: str, handler: Handler) -> web.RouteDef:
    """A route for whoever reaches the socket: logging in, and nothing else."""
    return route(method, path, ANYBODY, handler)


def account(request: web.Request) -> Caller:
    """Who calls, as `errors` found them."""
    return request[_CALLER]


def caller(request: web.Request) -> str:
    """Who calls, as the audit log names them."""
    return account(request).name


def may(request: web.Request, permission: Permission, repository: str = "") -> bool:
    """Whether the caller is allowed to, for lists that show what one may see."""
    return bool(request.app[CONTROL].rules.decide(account(request), permission, repository))


async def require(request: web.Request, permission: Permission, repository: str = "") -> None:
    """Go on only where the caller is allowed to. Raises RefusedError, and the refusal is an event."""
    control = request.app[CONTROL]
    try:
        control.rules.require(account(request), permission, repository)
    except RefusedError as error:
        thing = f"{request.method} {request.path}"
        await control.record(refusal(denied(permission), caller(request), thing, error))
        raise


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as the one JSON body, and nobody past this point who may not: here, and nowhere else, it is asked.

    A route that names no permission is nobody's.
    """
    try:
        await _admit(request)
        await check_text(request)
        return await handler(request)
    except LockgateError as error:
        return failure(error)
    except web.HTTPException as error:
        what = _DECLINED.get(error.status, "no such resource")
        return failure(NotFoundError(what, thing=f"{request.method} {request.path}"), error.status)
    except Exception as error:
        wrong = _of_metadata(error) if isinstance(error, EngineError) else None
        if wrong is not None:
            _log.warning("%s %s: %s", request.method, safe(request.path[:200]), wrong)
            return failure(wrong)
        lacks = lacking(error)
        if lacks is not None:
            _log.warning("%s %s: %s", request.method, safe(request.path[:200]), lacks)
            return failure(lacks)
        reference = secrets.token_hex(4)
        _log.exception("error %s: %s %s failed", reference, request.method, safe(request.path[:200]))
        remedy = f"look for `error {reference}` in its log"
        return failure(FailedError("the station failed inside", thing=f"error {reference}", remedy=remedy), 500)


def _of_metadata(error: EngineError) -> FailedError | None:
    """What an error of the engine says of the metadata: that it is damaged, or that its disk gave no answer."""
    if not is_away(error):
        return damage_of(error)
    remedy = "check the disk; where its file was exchanged, stop the station and put the newest copy back"
    return FailedError("the metadata cannot be read", thing=str(error)[:200], remedy=remedy)


async def _admit(request: web.Request) -> None:
    control = request.app[CONTROL]
    permission = getattr(request.match_info.handler, "permission", None)
    if permission == ANYBODY:
        request[_CALLER] = ANONYMOUS
        return
    try:
        request[_CALLER] = who = control.callers.identify(request)
        if not who.everything and "Authorization" not in request.headers:  # called by uid: that is the log-in
            await control.identity.require_explained(who.name)
    except RefusedError as error:
        name = system_name(peer_uid(request))
        await control.record(
            refusal(Act.CALL, error.thing or name, f"{request.method} {request.path}", error, origin=name)
        )
        raise
    if request.match_info.http_exception is not None:
        return
    if permission is None:
        raise RefusedError("the route names no permission", thing=request.path, remedy="report it: this is a defect")
    unless: Unless | None = getattr(request.match_info.handler, "unless", None)
    if unless is None or may(request, permission) or not unless(control, request):
        await require(request, permission)
    try:
        await control.called(control, request[_CALLER], permission)
    except RefusedError as error:
        thing = f"{request.method} {request.path}"
        await control.record(refusal(denied(permission), caller(request), thing, error))
        raise


def failure(error: LockgateError, status: int | None = None) -> web.Response:
    """An error's answer."""
    if isinstance(error, NoSpaceError):
        status = status or 507
    code = status or (404 if isinstance(error, NotFoundError) else _STATUS[error.exit_status])
    return web.json_response({**to_wire(error), "exit_status": error.exit_status}, status=code)


async def audited(control: Control, request: web.Request, act: Act, thing: str, work: Awaitable[Any]) -> Any:
    """Await `work`; a refusal or failure of it is an event before it is an answer."""
    try:
        return await work
    except LockgateError as error:
        await control.record(refusal(act, caller(request), thing, error))
        raise


async def act(
    control: Control, event: AuditEvent, write: Write, *,
    first: AuditEvent | None = None, further: Iterable[AuditEvent] = (),
) -> Any:  # fmt: skip
    """Record an act (and `first`, one that it is part of; `further` is what its own line has no room for), then do it
    in one transaction (appliance.audit.folder_acts)."""
    if first is not None:
        async with recording_async(control.record, first):
            return await act(control, event, write, further=further)
    try:
        async with recording_async(control.record, event):
            for one in further:
                await control.record(one)
            return await control.writer.submit(write)
    finally:
        if event.act in ABOUT:
            control.by_log.forget()
        await asyncio.to_thread(cover, control.station.audit, event)


def page_of(request: web.Request) -> tuple[int, str, str]:
    """`limit` (1 at least; `limits.CONTROL_PAGE` at most are given), `after` and `filter` of a list's query. Raises
    UsageError."""
    usual, most = limits.CONTROL_PAGE
    limit = query_number(request, "limit", usual)
    if limit < 1:
        raise malformed("limit", "it is 1 at least")
    return min(limit, most), request.query.get("after", ""), request.query.get("filter", "")


def answer(document: Shape | Page[Any], status: int = 200) -> web.Response:
    """A shape as the answer (`appliance.control.answers` names it for the route)."""
    return web.json_response(msgspec.to_builtins(document), status=status)


def page(items: Sequence[Any], limit: int, cursor: Callable[[Any], str]) -> web.Response:
    """A list's answer: `next` is where to go on, None at the end."""
    return answer(Page(tuple(items), cursor(items[-1]) if len(items) == limit and items else None))
