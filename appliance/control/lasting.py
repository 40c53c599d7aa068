"""What goes on for as long as the station runs is begun again where it fails: nobody would notice that something is not
looked at, or told, any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from appliance.limits import control as limits
from appliance.limits import store as store_limits
from appliance.program_log import say
from appliance.store.errors import EngineError
from appliance.store.rows import is_away
from bundles.io.display import safe

_log = logging.getLogger(__name__)


async def keep_going(name: str, begin: Callable[[], Awaitable[None]]) -> None:
    """Begin it, and begin it again after a while whatever ends it but a cancel: a database that was locked or away for
    a moment, a defect. `name` is what the program's log calls it. Returns where it ends by itself."""
    while True:
        try:
            await begin()
        except Exception as error:
            if isinstance(error, EngineError) and is_away(error):
                say(f"{name}: the metadata cannot be reached: {safe(str(error))}")
                await asyncio.sleep(store_limits.POSTGRES_AGAIN)
                continue
            _log.exception("%s failed, and begins again", name)
            await asyncio.sleep(limits.LASTING_AGAIN)
        else:
            return
