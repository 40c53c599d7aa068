"""How the registry's application meets HTTP: its settings, its event loop, and its log of bad requests."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

import uvloop
from aiohttp import web

from appliance.limits import registry as limits
from appliance.plain_http import one_line
from appliance.registry.lane import Lane
from appliance.registry.lane_protocol import LaneRunner

_log: Final = logging.getLogger("appliance.registry.http")
LANE: Final = web.AppKey("lane", Lane)
"""The pull lane of an application's worker."""


def handler_args() -> dict[str, Any]:
    """What aiohttp's connections are to know, whoever runs the application.

    Request bodies are kept as they come: a blob pushed with a Content-Encoding is the encoded bytes.
    """
    return {
        "auto_decompress": False,
        "keepalive_timeout": limits.KEEPALIVE,
        "lingering_time": limits.LINGER,
        "logger": _log,
        "max_headers": limits.REQUEST_HEADERS,
        "max_field_size": limits.REQUEST_LINE,
        "max_line_size": limits.REQUEST_LINE,
        "read_bufsize": limits.READ_BUFFER,
    }


def make_runner(app: web.Application, *, with_lane: bool = True) -> web.AppRunner:
    """A runner for `create_app`'s application; the caller sets it up and adds sites (plain or TLS). `with_lane`:
    whether the pull lane stands in front, without which every answer is the same."""
    more: dict[str, Any] = {"access_log": None, "handle_signals": False, "shutdown_timeout": limits.SHUTDOWN}
    return LaneRunner(app, app[LANE], **more) if with_lane else web.AppRunner(app, **more)


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop a worker is run on: uvloop, the fastest for requests and under TLS, and since the registry sends files
    itself also for those (docs/adr/0004-sending-blobs.md, measured by tests/bench/sending.py)."""
    return uvloop.new_event_loop()


_log.addFilter(one_line)
