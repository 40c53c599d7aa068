"""How the registry's application is run: the HTTP settings that belong to it, and the event loop that suits it."""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import web

from appliance import limits


def make_runner(app: web.Application) -> web.AppRunner:
    """A runner for `create_app`'s application; the caller sets it up and adds sites (plain or TLS).

    Request bodies are kept as they come: a blob pushed with a Content-Encoding is the encoded bytes.
    """
    return web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        handle_signals=False,
        keepalive_timeout=limits.KEEPALIVE,
        lingering_time=limits.LINGER,
        max_line_size=limits.REQUEST_LINE,
        max_field_size=limits.REQUEST_LINE,
        read_bufsize=limits.READ_BUFFER,
        shutdown_timeout=limits.SHUTDOWN,
    )


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop a worker is run on: uvloop, the fastest for requests and under TLS, and since the registry sends files
    itself also for those (docs/adr/0004-sending-blobs.md, measured by tests/bench/sending.py)."""
    return uvloop.new_event_loop()
