"""A data-plane worker: the registry over HTTP on the inherited socket."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from appliance.config import load_config
from appliance.observe.audit import FileAudit
from appliance.paths import StationPaths
from appliance.registry.app import create_app
from appliance.registry.services import RegistryServices, RegistrySettings
from appliance.store.blobs import BlobStore
from appliance.store.metadata import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncSocketWriter

_SHUTDOWN: Final = 2.0
"""Seconds that transfers under way get to finish."""


def run(root: Path, listener: socket.socket, ready: Callable[[], object]) -> None:
    """Serve until SIGTERM."""
    asyncio.run(_serve(root, listener, ready))


async def _serve(root: Path, listener: socket.socket, ready: Callable[[], object]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    paths = StationPaths(root)
    config = load_config(paths.config)
    blobs = BlobStore(paths)
    writer = AsyncSocketWriter(paths.writer_socket)
    services = RegistryServices(
        blobs=blobs,
        metadata=Metadata(paths.database),
        writer=writer,
        uploads=UploadSessions(blobs),
        audit=FileAudit(paths.audit),
        settings=RegistrySettings(sparse_indexes=config.sparse_indexes, chunk_minimum=config.chunk_minimum),
    )
    runner = web.AppRunner(create_app(services), access_log=None, handle_signals=False)
    await runner.setup()
    await web.SockSite(runner, listener, shutdown_timeout=_SHUTDOWN).start()
    ready()
    await stop.wait()
    await runner.cleanup()
    await writer.close()
