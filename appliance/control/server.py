"""The control process: the one writer, the jobs and the control API on its Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from appliance.control import openapi
from appliance.control.api import BODY, CONTROL, Control, errors, get
from appliance.control.callers import Callers
from appliance.control.jobs import Jobs
from appliance.control.routes import (
    bundles,
    find,
    intake,
    jobs,
    lifecycle,
    media,
    plans,
    repositories,
    status,
    streams,
    trust,
)
from appliance.observe.checkpoints import keep_signing
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.writer import AsyncWriterService, WriterService, serve_writer
from appliance.store.writer.frames import listen_at

_MODULES = (status, repositories, jobs, intake, streams, plans, bundles, media, trust, find, lifecycle)
_SHUTDOWN = 1.0


def application(control: Control) -> web.Application:
    """The control API over a station."""
    app = web.Application(middlewares=[errors], client_max_size=BODY)
    app[CONTROL] = control
    for module in _MODULES:
        app.add_routes(module.routes(control))

    async def describe(_: web.Request) -> web.Response:
        return web.json_response(openapi.document(app))

    app.add_routes([get(openapi.PATH, "status", describe)])
    return app


def run(root: Path, listen: str, ready: Callable[[], object]) -> None:
    """Run until SIGTERM; `ready` is called when the sockets answer."""
    asyncio.run(_serve(root, listen, ready))


async def _serve(root: Path, listen: str, ready: Callable[[], object]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    paths = StationPaths(root)
    with WriterService(paths.database) as service:
        station = open_station(root, service)
        writer = AsyncWriterService(service)
        work = Jobs(station, writer)
        async with serve_writer(paths.writer_socket, service):
            control = Control(station, writer, work, listen, Callers(station.config))
            runner = web.AppRunner(application(control), access_log=None)
            await runner.setup()
            listener = listen_at(paths.control_socket)
            await web.SockSite(runner, listener, shutdown_timeout=_SHUTDOWN).start()
            await work.start()
            signing = asyncio.create_task(keep_signing(paths))
            ready()
            await stop.wait()
            await work.stop()
            await runner.cleanup()
            signing.cancel()
            await asyncio.wait([signing])
            with contextlib.suppress(FileNotFoundError):
                paths.control_socket.unlink()
