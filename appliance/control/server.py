"""The control process: the one writer, the jobs and the control API on its Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

from appliance import clock
from appliance.access.configured_directory import configured_directory
from appliance.access.identity import Identity, StationIdentity
from appliance.access.passwords import HashingThreads
from appliance.access.token_endpoint import refresh_key
from appliance.access.token_keys import rotate
from appliance.audit.checkpoints import keep_signing
from appliance.audit.event import AuditEvent
from appliance.control import (
    budget_keeper,
    duties,
    indexing,
    jobs_by_log,
    openapi,
    policy_watch,
    renewal,
    socket_watch,
    space,
    store_watch,
    webhooks,
)
from appliance.control.accounts_by_log import AccountsByLog
from appliance.control.api import CONTROL, Control, anybody, errors, get
from appliance.control.callers import Callers
from appliance.control.handle_socket import Handles, HandleServer
from appliance.control.lasting import keep_going
from appliance.control.listeners import admit_group, monitoring
from appliance.control.log_follower import Events
from appliance.control.measuring import ControlMeasures
from appliance.control.promotion_rules import PromotionRules
from appliance.control.routes import (
    access_review,
    account_changes,
    accounts,
    approvals,
    audit,
    bundles,
    custody,
    files,
    find,
    image_policy,
    intake,
    job_start,
    jobs,
    layers,
    lifecycle,
    live,
    media,
    metrics,
    plans,
    probe,
    promotions,
    receipts,
    report,
    repositories,
    repository_acts,
    retirements,
    scanning,
    session,
    signatures,
    sites,
    status,
    streams,
    tls,
    tokens,
    transfers,
    trust,
    upstreams,
)
from appliance.control.routes import webhooks as webhook_routes
from appliance.door import Door
from appliance.jobs.process import JobStarter
from appliance.jobs.service import Jobs
from appliance.jobs.trails import JobTrails
from appliance.lifecycle.forgotten import doubt_last, require_whole
from appliance.lifecycle.rereading import rereading
from appliance.lifecycle.upkeep import upkeep
from appliance.limits import access as access_limits
from appliance.limits import control as limits
from appliance.limits import lifecycle as lifecycle_limits
from appliance.local_socket import listen_at
from appliance.making_room import give_room
from appliance.measures import slots as measure_slots
from appliance.measures.slots import Slots
from appliance.origin import require_open
from appliance.paths import StationPaths
from appliance.plain_http import one_line
from appliance.program_log import say
from appliance.readiness import HEALTHZ, READYZ, Probe
from appliance.release_check.explained_accounts import ExplainedAccounts
from appliance.settings.station import load_config
from appliance.station import Station, jobs_lease, open_station
from appliance.store import presence
from appliance.store.bucket_note import is_in_bucket
from appliance.store.database import open_reader
from appliance.store.epoch import epoch_of
from appliance.store.reads import garbage
from appliance.store.reads.accounts import Accounts
from appliance.store.writer import AsyncWriterService, WriterService, serve_writer
from appliance.store.writes.checks import BeginCheck
from appliance.store.writes.write import AsyncGuarded, AsyncWriter, Guarded
from appliance.tracing.tracer import tracer_of
from bundles.errors import FailedError, LockgateError
from bundles.io.threads import Threads

_MODULES = (
    status, repositories, repository_acts, promotions, retirements, signatures, image_policy,
    jobs, job_start, intake, approvals, custody, audit, streams, plans, bundles, media, receipts,
    scanning, transfers, trust, files, find, layers, lifecycle, session, sites, accounts, account_changes, tokens, tls,
    metrics, access_review, upstreams, webhook_routes, probe, report, live,
)  # fmt: skip
_SHUTDOWN = 1.0
_http_log = logging.getLogger("appliance.control.http")
_http_log.addFilter(one_line)


def application(control: Control) -> web.Application:
    """The control API over a station."""
    app = web.Application(middlewares=[errors], client_max_size=limits.CONTROL_BODY, handler_args={"logger": _http_log})
    app[CONTROL] = control
    for module in _MODULES:
        app.add_routes(module.routes(control))

    async def describe(_: web.Request) -> web.Response:
        return web.json_response(openapi.document(app))

    asked = Probe(control.station.paths, control.station.metadata, asks_control=False, blobs=control.station.blobs)
    app.add_routes([get(openapi.PATH, "status", describe)])
    app.add_routes([anybody("GET", READYZ, asked.readyz), anybody("GET", HEALTHZ, asked.healthz)])
    return app


def run(
    root: Path, listen: str, ready: Callable[[], object], slots: Slots, starting: Callable[[], bool] = lambda: False,
    workers: int = 0,
) -> None:  # fmt: skip
    """Run until SIGTERM; `ready` is called when the sockets answer. `slots`: what the station's processes count in;
    `starting`: whether some of them start now; `workers`: how many serve the registry."""
    starter = JobStarter.begin()
    try:
        gone = asyncio.run(_serve(root, listen, ready, slots, starter, starting, workers))
        if gone is not None:
            raise FailedError(
                "a socket of the station was removed", thing=str(gone), remedy="it is made again, and the jobs go on"
            )
        if starter.is_lost:
            raise FailedError(
                "the process that starts jobs has ended", remedy="both are started again, and the jobs go on"
            )
    finally:
        starter.close()


def _trails(station: Station, measures: ControlMeasures, held: contextlib.ExitStack) -> JobTrails:
    tracer = tracer_of(station.config, station.paths, measure_slots.CONTROL, measures.spans)
    if tracer is not None:
        held.callback(tracer.close)
    return JobTrails(tracer)


async def _serve(
    root: Path,
    listen: str,
    ready: Callable[[], object],
    slots: Slots,
    starter: JobStarter,
    starting: Callable[[], bool],
    workers: int,
) -> Path | None:
    """Until SIGTERM, or until a part of the process is lost; the socket that somebody removed, if that was it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.set_default_executor(Threads(limits.CONTROL_THREADS, thread_name_prefix="control"))
    paths = StationPaths(root)
    require_whole(paths, load_config(paths.config))
    with jobs_lease(paths) as lease, WriterService(paths.database) as service, contextlib.ExitStack() as held:
        _settle_store(paths)
        measures = ControlMeasures(slots)
        station = open_station(root, Guarded(service), unwritten=measures.unwritten)
        require_open(paths, station.config)
        _make_ready(paths, station)
        writer = AsyncGuarded(AsyncWriterService(service))
        token = secrets.token_hex(16)
        work = Jobs(station, writer, starter, lease, token, measures.job_ended, _trails(station, measures, held))

        loss = _Loss(stop, work)
        starter.when_lost = loss.end
        async with (
            serve_writer(paths.writer_socket, service, token),
            _access(station, writer) as (accounts, identity, by_log),
        ):
            callers, rules = Callers(station.config, accounts), station.config.access.rules()
            handles = Handles()
            noted = duties.note_caller
            control = Control(
                station,
                writer,
                work,
                listen,
                callers,
                rules,
                identity,
                handles=handles,
                called=noted,
                by_log=by_log,
                measures=measures,
                starting=starting,
                workers=workers,
            )
            runner = web.AppRunner(application(control), access_log=None, shutdown_timeout=_SHUTDOWN)
            await runner.setup()
            listener = listen_at(paths.control_socket)
            assert runner.server is not None  # noqa: S101  the runner was set up
            listener.setblocking(False)
            door = Door(runner.server, listener, _uid)
            door.open()
            taking = HandleServer(paths, handles, station.audit, is_open=station.config.open)
            own = functools.partial(open_station, root, station.writer, station.config)
            async with taking.serving(), monitoring(station.config, control):
                admit_group(station.config, paths)
                await _take_up(control)
                held.enter_context(rereading(own, station.config.reverify_hours * 3600.0))
                station.writer.submit(BeginCheck(at=clock.now()))
                checked = held.enter_context(upkeep(own))
                await asyncio.to_thread(checked.wait, lifecycle_limits.METADATA_FIRST)
                going = [keep_going(name, begin) for name, begin in _lasting(control)]
                tasks = [asyncio.create_task(one) for one in (*going, *_kept(paths, slots, loss))]
                ready()
                await stop.wait()
                await work.stop()
            door.close()
            await runner.cleanup()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            with contextlib.suppress(FileNotFoundError):
                paths.control_socket.unlink()
    return loss.socket


class _Loss:
    """Ends the control process where a part of it is lost that only a new one has: the jobs go on there."""

    def __init__(self, stop: asyncio.Event, work: Jobs) -> None:
        self._stop, self._work = stop, work
        self.socket: Path | None = None

    def end(self) -> None:
        self._work.halt()
        self._stop.set()

    def end_without(self, socket: Path) -> None:
        """As `end`, where somebody removed a socket."""
        self.socket = socket
        self.end()


def _kept(paths: StationPaths, slots: Slots, loss: _Loss) -> Iterator[Coroutine[Any, Any, None]]:
    """What keeps the folder `run` as it was."""
    yield slots.keep_filed()
    yield socket_watch.keep_looking(paths, loss.end_without)


async def _take_up(control: Control) -> None:
    """Go on with the jobs that had not ended, of those that the audit log tells of."""
    await jobs_by_log.refuse_unexplained(control.station, control.writer)
    await control.jobs.start()


def _make_ready(paths: StationPaths, station: Station) -> None:
    doubt_last(paths, station.reader, station.audit)
    give_room(paths, station.blobs, station.audit)


def _settle_store(paths: StationPaths) -> None:
    """Mark the store; a disk without room for that stops no start."""
    with contextlib.closing(open_reader(paths.database)) as reader:
        named = garbage.any_rows(reader) and not is_in_bucket(paths)
    try:
        presence.settle(paths, named=named)
    except LockgateError as error:
        say(error.diagnostics())


def _uid(accepted: socket.socket, _: object) -> str:
    """Who is at the other end of the control socket (unix(7), SO_PEERCRED)."""
    _, uid, _ = struct.unpack("3i", accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return f"uid {uid}"


def _lasting(control: Control) -> Iterator[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
    """What goes on for as long as the station runs: what the log calls it, and how it is begun."""
    config = control.station.config
    yield "signing checkpoints", functools.partial(keep_signing, control.station.paths)
    for name, begin in (
        ("looking at what is shown", _keep_looking),
        ("changes of accounts that wait", duties.keep_looking),
        ("looking at the disk's room", space.keep_looking),
        ("looking at the store", store_watch.keep_looking),
        ("looking at approvals.toml", policy_watch.keep_looking),
        ("indexing SBOMs", indexing.keep_looking),
        ("counting for objectives", budget_keeper.keep_looking),
        ("webhooks", webhooks.keep_telling),
    ):
        yield name, functools.partial(begin, control)
    yield "promotions by rule", PromotionRules(control).keep_looking
    if not config.open:
        yield "renewing the server's certificate", functools.partial(renewal.keep_renewing, control)
    if config.syslog.host:
        yield "sending to the syslog collector", control.syslog.keep_sending
    if control.program_log.is_on:
        yield "sending the program's log", control.program_log.keep_sending
    if config.probe.image and config.probe.minutes:
        yield "pulling the canary", control.canary.keep_probing
    if control.push_scans.is_on:
        yield "SBOMs of what is pushed", control.push_scans.keep_looking
    if control.drops.folders:
        yield "looking into drop folders", control.drops.keep_looking
    if control.replicas.follows:
        yield "following primaries", control.replicas.keep_following
    yield (
        "following the audit log",
        functools.partial(control.follower.keep_following, functools.partial(_told, control)),
    )


async def _told(control: Control, events: Events) -> None:
    """The audit log got events."""
    control.measures.logged(events)


async def _keep_looking(control: Control) -> None:
    """Look now and then whether anything is shown that nobody released, and whether released tags or blocks were
    changed; what is found stands among the alerts."""
    while True:
        try:
            await control.releases.look(control.station)
        except LockgateError as error:
            say(error.diagnostics())
        await asyncio.sleep(lifecycle_limits.RELEASES_LOOKED_AT)


@contextlib.asynccontextmanager
async def _access(station: Station, writer: AsyncWriter) -> AsyncIterator[tuple[Accounts, Identity, AccountsByLog]]:
    """Who is who, by the log too; on a station with accounts also the keys for tokens, which change once a day."""
    accounts, threads = Accounts(station.reader), HashingThreads()
    explained = ExplainedAccounts(station.paths, station.config.site, station.reader)
    changing = None
    if not station.config.open:
        await asyncio.to_thread(rotate, station.paths.token_keys)
        await asyncio.to_thread(refresh_key, station.paths.refresh_key)  # before workers that would make it at once
        changing = asyncio.create_task(_keep_rotating(station.paths.token_keys))
    try:
        epoch = epoch_of(station.paths.database)
        by_log = AccountsByLog(explained)

        async def record(event: AuditEvent) -> None:
            await by_log.ensure(station)
            await asyncio.to_thread(station.audit.record, event)
            by_log.forget()

        directory = configured_directory(station.config, station.paths, accounts, writer, record)
        yield accounts, StationIdentity(accounts, writer, threads, epoch, explained, directory), by_log
    finally:
        threads.close()
        if changing is not None:
            changing.cancel()


async def _keep_rotating(folder: Path) -> None:
    while True:
        await asyncio.sleep(access_limits.TOKEN_KEYS_TURN)
        try:
            await asyncio.to_thread(rotate, folder)
        except LockgateError as error:
            say(f"the keys for tokens: {error.diagnostics()}")
