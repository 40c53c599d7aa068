"""A data-plane worker: the registry over HTTP or HTTPS on the inherited socket."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from appliance.access.configured_directory import configured_directory
from appliance.access.identity import Identity, StationIdentity
from appliance.access.passwords import HashingThreads
from appliance.access.request_gate import AccountAccess
from appliance.access.tls import server_context
from appliance.access.token_endpoint import StationAccess, TokenEndpoint, refresh_key
from appliance.access.workload_identity import WorkloadIdentity
from appliance.addresses import OWN_ACCOUNT, origin_of
from appliance.audit.event import AuditEvent
from appliance.audit.port import AuditPort, FileAudit
from appliance.audit.pull_journal import PullJournal
from appliance.caching.fetch_requests import Asking
from appliance.door import Door
from appliance.image_signatures.pulls import StationPulls
from appliance.limits import store as limits
from appliance.local_socket import listen_at
from appliance.making_room import give_room
from appliance.origin import require_open
from appliance.paths import StationPaths
from appliance.program_log import say
from appliance.registry.app import create_app
from appliance.registry.live import LivePlace
from appliance.registry.measuring import RegistryMeasures
from appliance.registry.services import Access, OpenAccess, RegistryServices, RegistrySettings
from appliance.registry.serving import make_runner, new_loop
from appliance.release_check.explained_accounts import ExplainedAccounts
from appliance.serve.free_memory import keep_giving_back
from appliance.settings.caches import Caches
from appliance.settings.client_writes import ClientWrites
from appliance.settings.station import Config, load_config
from appliance.store.epoch import epoch_of
from appliance.store.opening import open_store
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncSocketWriter
from appliance.store.writes.write import AsyncGuarded, AsyncWriter
from appliance.tracing.tracer import tracer_of
from bundles.errors import LockgateError

_LAST_IN: Final = 1.0
"""Seconds in which what was accepted last must bring its request: a connection that brings none would hold the end of
the worker until its client goes."""


def run(
    root: Path, listener: socket.socket, ready: Callable[[], object], measures: RegistryMeasures,
    lasting: Callable[[], Coroutine[Any, Any, None]], number: int = 1,
) -> None:  # fmt: skip
    """Serve until SIGTERM; `lasting` goes on meanwhile. `number`: which of the station's workers this is."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(root, listener, ready, measures, lasting, number))


async def _serve(
    root: Path, listener: socket.socket, ready: Callable[[], object], measures: RegistryMeasures,
    lasting: Callable[[], Coroutine[Any, Any, None]], number: int,
) -> None:  # fmt: skip
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    paths = StationPaths(root)
    config = load_config(paths.config)
    require_open(paths, config)
    blobs = open_store(paths)
    writer = AsyncSocketWriter(paths.writer_socket)
    metadata = Metadata(paths.database)
    guarded = AsyncGuarded(writer)
    audit = FileAudit(paths.audit, unwritten=measures.unwritten)
    give_room(paths, blobs, audit)
    pulls = StationPulls(paths, blobs, metadata)
    pulls.start()
    tracer = tracer_of(config, paths, f"worker-{number}", measures.spans)
    async with station_access(config, paths, metadata, guarded, audit) as access:
        services = RegistryServices(
            blobs=blobs, metadata=metadata, writer=guarded, uploads=UploadSessions(blobs),
            audit=audit, access=access, pull_policy=pulls,
            pull_through=Asking(Caches(config.caches), paths.cache_socket),
            pull_journal=_pull_journal(paths, number, config.workers), tracer=tracer,
            live=LivePlace(paths.live_wanted, paths.live(number), number),
            settings=RegistrySettings(
                sparse_indexes=config.sparse_indexes, chunk_minimum=config.chunk_minimum,
                writes=ClientWrites.of(config), reverify=config.reverify_hours * 3600.0,
                log_requests=config.log.requests, log_phases=config.log.phases,
                admission=frozenset(config.admission.registries),
            ),
        )  # fmt: skip
        app = create_app(services, measures)
        runner = make_runner(app)
        await runner.setup()
        front = Front(
            runner, listener, None if config.open else lambda: server_context(config, paths), measures.connection,
            paths.worker_socket(number),
        )  # fmt: skip
        await front.open()
        loop.add_signal_handler(signal.SIGHUP, front.reload_soon)
        beside = [
            asyncio.create_task(lasting()),
            asyncio.create_task(front.keep_own_socket()),
            asyncio.create_task(keep_giving_back()),
        ]
        ready()
        await stop.wait()
        for task in beside:
            task.cancel()
        await front.close()
        await runner.cleanup()
        if tracer is not None:
            await asyncio.to_thread(tracer.close)
        await asyncio.to_thread(pulls.close)
    with contextlib.suppress(LockgateError):  # what was counted, where there is room for it
        audit.close()
    await writer.close()


def _pull_journal(paths: StationPaths, number: int, workers: int) -> PullJournal:
    """A worker's notes; the first takes up those of workers that the station had before, and has no more."""
    own = {paths.pull_journal(one) for one in range(1, workers + 1)}
    others = sorted(set(paths.run.glob("worker-*.pulls")) - own) if number == 1 else []
    return PullJournal(paths.pull_journal(number), others)


@contextlib.asynccontextmanager
async def station_access(
    config: Config, paths: StationPaths, metadata: Metadata, writer: AsyncWriter, audit: AuditPort
) -> AsyncIterator[Access]:
    """Who may do what on this station: everybody everything on an open one, else what accounts and roles say."""
    if config.open:
        yield OpenAccess()
        return
    accounts, threads = Accounts(metadata.connection), HashingThreads()
    explained = ExplainedAccounts(paths, config.site, metadata.connection)

    async def record(event: AuditEvent) -> None:
        await asyncio.to_thread(audit.record, event)

    directory = configured_directory(config, paths, accounts, writer, record)
    epoch = epoch_of(paths.database)
    identity: Identity = StationIdentity(accounts, writer, threads, epoch, explained, directory)
    if config.workload_issuers:
        identity = WorkloadIdentity(identity, config.workload_issuers, paths.root, accounts, writer)
    gate = AccountAccess(
        paths, accounts, identity, config.access.rules(),
        issuer=config.site, networks=config.access.networks(), rate=config.access.requests_per_second,
    )  # fmt: skip
    key = await asyncio.to_thread(refresh_key, paths.refresh_key)
    try:
        yield StationAccess(gate, TokenEndpoint(gate, writer, key))
    finally:
        threads.close()


class Front:
    """The listening side of a worker. A reload takes effect for what is accepted from then on: what was accepted goes
    on under the certificate it began with, and nobody meets a closed door in between."""

    def __init__(
        self,
        runner: web.AppRunner,
        listener: socket.socket,
        context: Callable[[], ssl.SSLContext] | None,
        count: Callable[[str], object] = lambda _: None,
        own: Path | None = None,
    ) -> None:
        """`own`: where this worker alone answers the same requests, on a Unix socket for the station's account."""
        assert runner.server is not None  # noqa: S101  the runner was set up
        self._server = runner.server
        self._door = Door(runner.server, listener, _address, count=count)
        self._own, self._own_door = own, None if own is None else self._open_own(own)
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Accept connections. Raises FailedError where TLS cannot start."""
        await self._load()
        self._door.open()
        if self._own_door is not None:
            self._own_door.open()

    def _open_own(self, path: Path) -> Door | None:
        """None where the disk takes no socket: the listener serves all the same."""
        try:
            path.parent.mkdir(mode=0o710, exist_ok=True)
            listener = listen_at(path)
        except (OSError, LockgateError):
            return None
        listener.setblocking(False)
        return Door(self._server, listener, lambda _, __: OWN_ACCOUNT)

    async def keep_own_socket(self) -> None:
        """Make this worker's own socket again where somebody removed it. Until cancelled."""
        while self._own is not None:
            await asyncio.sleep(limits.RESERVE_LOOK)
            if self._own.is_socket():
                continue
            if self._own_door is not None:
                self._own_door.close()
                self._own_door.listener.close()
            self._own_door = self._open_own(self._own)
            if self._own_door is not None:
                self._own_door.context = self._door.context
                self._own_door.open()

    async def _load(self) -> None:
        if self._context is not None:
            self._door.context = await asyncio.to_thread(self._context)
            if self._own_door is not None:
                self._own_door.context = self._door.context

    def reload_soon(self) -> None:
        """Take up the certificate's files as they are now; a bad one leaves things as they were, and says so."""
        task = asyncio.create_task(self._reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self) -> None:
        try:
            await self._load()
        except LockgateError as error:
            say(f"the certificate was not reloaded: {error.diagnostics()}")

    async def close(self) -> None:
        """Accept no more, and wait a moment for the requests of what was accepted."""
        self._door.close()
        if self._own_door is not None:
            self._own_door.close()
        await self._door.last_in(_LAST_IN)


def _address(_: socket.socket, peer: tuple[str, int]) -> str:
    return origin_of(peer[0])
