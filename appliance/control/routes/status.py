"""GET /v1/status: the station at a glance."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from aiohttp import web

from appliance import clock, limits
from appliance.audit.checkpoints import last_checkpoint
from appliance.control import duties, space
from appliance.control.api import Control, get, may
from appliance.control.health import checks
from appliance.control.visibility import job_view
from appliance.jobs.view import Job
from appliance.store.reads import tombstones
from appliance.store.reads.bundles_out import unfinished


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def status(request: web.Request) -> web.Response:
        current = control.jobs.current()
        await asyncio.to_thread(control.station.blobs.graveyard.totals)  # so that `describe` finds it counted
        document = describe(control) | {"job": job_view(request, current) if current else None}
        if not may(request, "custody"):
            document |= {"last_import": None, "hidden": ["last_import"]}
        return web.json_response(document)

    return [get("/v1/status", "status", status)]


def describe(control: Control) -> dict[str, Any]:
    """The status document (docs/reference/control-api.md, Status), but for the job that runs."""
    station = control.station
    blobs, size = station.metadata.totals()
    damaged, unread = station.metadata.troubled()
    found = checks(station)
    unsigned = control.jobs.list(limits.JOBS_LIVE, state="to-sign")[::-1]
    one = station.reader.execute
    left = unfinished(station.reader)
    quarantine = one("SELECT count(*) FROM intake WHERE state IN ('quarantined', 'approved')").fetchone()[0]
    last = one("SELECT id, received FROM intake ORDER BY received DESC LIMIT 1").fetchone()
    return {
        "site": station.config.site,
        "side": station.config.side,
        "open": station.config.open,
        "version": version("lockgate"),
        "listen": control.listen,
        "started": control.started,
        "store": {
            "blobs": blobs,
            "bytes": size,
            "free": shutil.disk_usage(station.paths.root).free,
            "graveyard": asdict(station.blobs.graveyard.totals()),
            "damaged": damaged,
            "unread": unread,
            "collected": asdict(tombstones.counts(station.reader)),
        },
        "read_only": space.read_only(control),
        "jobs": control.jobs.counts(),
        "quarantine": quarantine,
        "account_changes": one("SELECT count(*) FROM account_changes WHERE state = 'waits'").fetchone()[0],
        "last_import": {"id": last[0], "at": last[1]} if last else None,
        "hidden": [],
        "to_sign": [{"job": job.id, "since": (job.to_sign or {}).get("since", "")} for job in unsigned],
        "unfinished": [{"id": bundle.id, "job": bundle.job, "signed": bundle.signed} for bundle in left],
        "alerts": [
            *(f"{check['name']}: {check['detail']}" for check in found if not check["ok"]),
            *(text for check in found for text in check.pop("alerts", ())),
            *control.releases.alarms(),
            *duties.alerts(control),
            *map(_unsigned, unsigned),
            *(bundle.text() for bundle in left if bundle.is_left),
            *_broken_glass(one("SELECT keyid, id, at, actor FROM sealed_keys_used ORDER BY at").fetchall()),
        ],
        "health": {"ok": all(check["ok"] for check in found), "checks": found},
        "approvals_needed": station.config.threshold,
        "audit": last_checkpoint(station.paths.audit),
    }


def _unsigned(job: Job) -> str:
    """A job that goes no further by itself, and whose stream's next bundle waits behind it."""
    since = (job.to_sign or {}).get("since", "")
    return f"job {job.id} waits for a signature since {since}: lockgate bundle sign --job {job.id} --key KEY"


def _broken_glass(used: list[tuple[str, str, str, str]]) -> list[str]:
    """Sealed keys that were opened within a week: nobody who looks at the station may overlook it."""
    since = clock.after(-limits.BREAK_GLASS_ALERT)
    return [f"break-glass: sealed key {keyid} released {name} at {at} ({actor})" for keyid, name, at, actor in used
            if at > since]  # fmt: skip
