"""Keeps the error budgets while the station runs."""

from __future__ import annotations

import asyncio
import time

from appliance import clock
from appliance.control.api import Control
from appliance.control.log_follower import report
from appliance.limits import station as limits
from bundles.errors import LockgateError


async def keep_looking(control: Control) -> None:
    """Add what was counted to the budgets, which are written now and then and at the end, and to the activity. Until
    cancelled."""
    written = time.monotonic()
    try:
        while True:
            await asyncio.to_thread(take, control)
            note(control)
            if time.monotonic() - written >= limits.SLO_KEEP:
                written = time.monotonic()
                await asyncio.to_thread(_keep, control)
            await asyncio.sleep(limits.SLO_TAKE)
    finally:
        take(control)
        _keep(control)


def take(control: Control) -> None:
    """Add what was counted since. Blocking."""
    control.budgets.take(control.measures.slots.totals(), int(clock.seconds(clock.now())))


def note(control: Control) -> None:
    """Add what was counted to the activity. On the event loop's thread, whose connection counts the store."""
    _, stored = control.totals.of(control.station)
    control.activity.take(control.measures.slots.totals(), int(clock.seconds(clock.now())), stored)


def _keep(control: Control) -> None:
    try:
        control.budgets.keep()
    except LockgateError as error:  # a full disk: they are written later
        report("the error budgets were not written", error)
