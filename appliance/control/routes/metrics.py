"""GET /v1/metrics: what monitoring reads."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.access.certificate_alerts import expiries
from appliance.control.api import Control, get
from appliance.control.routes.status import describe
from appliance.metrics import CONTENT_TYPE, Gauges, render
from appliance.store.reserve import Reserve
from bundles.errors import LockgateError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def metrics(_: web.Request) -> web.Response:
        return await answer(control)

    return [get("/v1/metrics", "status", metrics)]


async def answer(control: Control) -> web.Response:
    """The metrics as text."""
    await asyncio.to_thread(control.station.blobs.graveyard.totals)  # so that `describe` finds it counted
    found = gauges(control)
    return web.Response(
        body=await asyncio.to_thread(render, found, control.slots), headers={"Content-Type": CONTENT_TYPE}
    )


def gauges(control: Control) -> Gauges:
    """The station's state as numbers. Names and labels are a promise (docs/reference/metrics.md)."""
    status, station = describe(control), control.station
    store, jobs = status.store, msgspec.structs.asdict(status.jobs)
    kept = Reserve(station.paths.reserve).kept()
    left: dict[tuple[tuple[str, str], ...], float]
    try:
        left = {(("certificate", entry.name),): float(entry.seconds_left)
                for entry in expiries(station.config, station.paths.root)}  # fmt: skip
    except LockgateError:
        left = {(("certificate", "server"),): -1.0}
    checks: dict[tuple[tuple[str, str], ...], float] = {
        (("check", check.name),): float(check.ok) for check in status.health.checks
    }
    return {
        "lockgate_up": ("The station runs", {(("site", status.site), ("side", status.side)): 1.0}),
        "lockgate_store_blobs": ("Blobs held", {(): float(store.blobs)}),
        "lockgate_store_bytes": ("Bytes held", {(): float(store.bytes)}),
        "lockgate_store_damaged_blobs": ("Blobs that are damaged and withdrawn", {(): float(store.damaged)}),
        "lockgate_store_unread_blobs": ("Blobs that could not be read", {(): float(store.unread)}),
        "lockgate_store_free_bytes": ("Bytes free on the station's disk", {(): float(store.free)}),
        "lockgate_graveyard_blobs": ("Collected blobs that wait", {(): float(store.graveyard.blobs)}),
        "lockgate_graveyard_bytes": ("Bytes of collected blobs", {(): float(store.graveyard.bytes)}),
        "lockgate_store_read_only": ("1 where no content is taken in", {(): float(status.read_only is not None)}),
        "lockgate_reserve_bytes": ("Bytes left of the disk's reserve", {(): float(kept[0])}),
        "lockgate_reserve_inodes": ("Inodes left of the disk's reserve", {(): float(kept[1])}),
        "lockgate_tombstones": (
            "Digests whose collection is remembered",
            {(): float(store.collected.tombstones)},
        ),
        "lockgate_jobs": ("Jobs", {(("state", name),): float(count) for name, count in jobs.items()}),
        "lockgate_quarantined_bundles": ("Bundles in quarantine", {(): float(status.quarantine)}),
        "lockgate_health": ("1 where the check is well", checks),
        "lockgate_certificate_seconds_left": ("Seconds until a certificate ends", left),
    }
