"""GET /v1/live: what the registry's workers are doing just now; they count while somebody asks."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from aiohttp import web

from appliance import clock
from appliance.api.live import Live, WorkerLive
from appliance.control.api import Control, answer, get
from appliance.limits import station as limits
from appliance.paths import StationPaths
from bundles.errors import LockgateError
from bundles.io.files import read_small


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def live(_: web.Request) -> web.Response:
        return answer(await asyncio.to_thread(_look, control.station.paths, control.workers))

    return [get("/v1/live", "audit", live)]


def _look(paths: StationPaths, workers: int) -> Live:
    """Say that somebody looks, and read what the workers told lately. Blocking."""
    with contextlib.suppress(OSError):
        paths.live_wanted.touch(0o600)
    now, heard = clock.now(), []
    for number in range(1, workers + 1):
        with contextlib.suppress(OSError, LockgateError, msgspec.DecodeError):
            told = msgspec.json.decode(read_small(paths.live(number), limits.LIVE_FILE), type=WorkerLive)
            if told.worker == number and abs(clock.seconds(now) - clock.seconds(told.at)) <= limits.LIVE_AWAY:
                heard.append(told)
    return Live(at=now, workers=workers, heard=tuple(heard))
