"""GET /v1/status: the station at a glance."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Final

import msgspec
from aiohttp import web

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.api.status import (
    AdvisoriesHeld,
    Check,
    Collected,
    GraveyardUse,
    Head,
    Health,
    JobCounts,
    JobToSign,
    LastImport,
    ObjectiveState,
    QuarantinedSource,
    ReadOnly,
    Status,
    StoreUse,
    UnfinishedBundle,
)
from appliance.audit.checkpoints import last_checkpoint
from appliance.control import diodes, duties, policy_watch, space, webhooks
from appliance.control.api import Control, answer, get, may
from appliance.control.budgets import Budget
from appliance.control.health import checks
from appliance.control.visibility import job_view
from appliance.jobs.documents import Job
from appliance.limits import intake as intake_limits
from appliance.limits import jobs as limits
from appliance.station import Station
from appliance.store.engine import revision
from appliance.store.reads import advisories, tombstones
from appliance.store.reads.bundles_out import unfinished
from appliance.store.reads.decisions import SealedKeyUse, sealed_key_uses
from appliance.store.reads.intake import count_in_quarantine, last_received, undecided_bytes
from appliance.store.reads.news import hit_images
from appliance.store.reads.sealed_sources import count_damaged
from appliance.store.writes import pending_changes
from bundles.errors import FailedError
from bundles.io.display import some

_VERSION: Final = version("lockgate")
"""Read once: it stands in a file of the installation."""


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def status(request: web.Request) -> web.Response:
        current = control.jobs.current()
        await asyncio.to_thread(_graveyard, control)  # so that `describe` finds it counted
        found = describe(control)
        if not may(request, "custody"):
            found = msgspec.structs.replace(found, last_import=None, hidden=("last_import",))
        document: dict[str, Any] = msgspec.to_builtins(found)
        return web.json_response(document | {"job": job_view(request, current) if current else None})

    async def activity(_: web.Request) -> web.Response:
        return answer(control.activity.told())

    return [get("/v1/status", "status", status), get("/v1/activity", "status", activity)]


def _graveyard(control: Control) -> GraveyardUse:
    """What waits there; nothing where it cannot be read, which health says."""
    try:
        return GraveyardUse(**asdict(control.station.blobs.graveyard.totals()))
    except FailedError:
        return GraveyardUse(blobs=0, bytes=0, oldest="")


def describe(control: Control) -> Status:
    """The status document (docs/reference/control-api.md, Status), but for the job that runs."""
    station = control.station
    blobs, size = control.totals.of(station)
    damaged, unread = station.metadata.troubled()
    by_itself = (
        control.drops, control.replicas, control.standby, control.push_scans, control.canary, control.syslog,
        control.program_log,
    )  # fmt: skip
    further = [told for one in by_itself if (told := one.check()) is not None]
    found = [*checks(station), policy_watch.check(control.policy), *further]
    unsigned = control.jobs.list(limits.JOBS_LIVE, state="to-sign")[::-1]
    left = unfinished(station.reader)
    last = last_received(station.reader)
    hit = hit_images(station.reader)
    damaged_sources = count_damaged(station.reader, index_key(station.paths))
    shown = tuple(Check(name=check["name"], ok=check["ok"], detail=check["detail"]) for check in found)
    read_only = space.read_only(control)
    disk = shutil.disk_usage(station.paths.root)
    return Status(
        site=station.config.site,
        side=station.config.side,
        open=station.config.open,
        version=_VERSION,
        listen=control.listen,
        started=control.started,
        store=StoreUse(
            blobs=blobs,
            bytes=size,
            free=disk.free,
            size=disk.used + disk.free,
            graveyard=_graveyard(control),
            damaged=damaged,
            unread=unread,
            collected=Collected(**asdict(tombstones.counts(station.reader))),
        ),
        read_only=None if read_only is None else ReadOnly(**read_only),
        jobs=JobCounts(**control.jobs.counts()),
        quarantine=count_in_quarantine(station.reader),
        quarantined=tuple(quarantined(station)),
        account_changes=pending_changes.count_waiting(station.reader),
        last_import=LastImport(id=last[0], at=last[1]) if last else None,
        advisories=AdvisoriesHeld(**asdict(advisories.totals(station.reader)), hit=hit, damaged=damaged_sources),
        to_sign=tuple(JobToSign(job=job.id, since=(job.to_sign or {}).get("since", "")) for job in unsigned),
        unfinished=tuple(UnfinishedBundle(id=bundle.id, job=bundle.job, signed=bundle.signed) for bundle in left),
        objectives=objective_states(control),
        alerts=(
            *(f"{check.name}: {check.detail}" for check in shown if not check.ok),
            *(text for check in found for text in check.get("alerts", ())),
            *control.releases.alarms(),
            *duties.alerts(control),
            *webhooks.alerts(control),
            *diodes.alerts(station, os.geteuid()),
            *map(_unsigned, unsigned),
            *(bundle.text() for bundle in left if bundle.is_left),
            *_hit(hit),
            *(_burning(one) for one in control.budgets.latest if one.burns),
            *_broken_glass(sealed_key_uses(station.reader)),
        ),
        health=Health(ok=all(check.ok for check in shown), checks=shown),
        approvals_needed=station.config.threshold,
        audit=msgspec.convert(last_checkpoint(station.paths.audit), Head),
        revision=_revision(control),
    )


def quarantined(station: Station) -> Iterator[QuarantinedSource]:
    """Each source with undecided bundles, and each with a quota of its own, by name."""
    held, settings = undecided_bytes(station.reader), station.config.quarantine
    for source in sorted({*held, *settings.sites}):
        yield QuarantinedSource(source=source, bytes=held.get(source, 0), quota=settings.quota(source))


def _revision(control: Control) -> str:
    """The rows' revision, and when files of keys came or went."""
    paths = control.station.paths
    folders = [path.stat().st_mtime_ns if path.is_dir() else 0 for path in (paths.trust, paths.keys)]
    return "-".join(map(str, (revision(control.station.reader), *folders)))


def objective_states(control: Control) -> tuple[ObjectiveState, ...]:
    """Each objective as it stands."""
    return tuple(_objective(control, one) for one in control.budgets.latest)


def _objective(control: Control, one: Budget) -> ObjectiveState:
    return ObjectiveState(
        slo=one.key.slo, objective=one.key.objective, target=round(one.target, 6),
        reached=round(1 - one.failed / one.all if one.all else 1.0, 6), left=round(one.left, 4),
        days=control.budgets.settings.days, burn={window: round(burn, 2) for window, burn in one.burn.items()},
    )  # fmt: skip


def _burning(one: Budget) -> str:
    """An error budget that somebody has to look at now."""
    what = f"{one.key.slo} {one.key.objective.replace('_', ' ')}"
    times = f"{one.burn['5m']:.0f} times as fast as allowed"
    return f"slo {what}: the error budget burns {times} (see: lockgate status --json)"


def _unsigned(job: Job) -> str:
    """A job that goes no further by itself, and whose stream's next bundle waits behind it."""
    since = (job.to_sign or {}).get("since", "")
    return f"job {job.id} waits for a signature since {since}: lockgate bundle sign --job {job.id} --key KEY"


def _hit(images: int) -> list[str]:
    """Served content that new advisories hit."""
    if not images:
        return []
    have = some(images, "served image has", "served images have")
    return [f"advisories: {have} new findings (critical, high, unknown or exploited); list them: lockgate scan new"]


def _broken_glass(used: list[SealedKeyUse]) -> list[str]:
    """Sealed keys that were opened within a week: nobody who looks at the station may overlook it."""
    since = clock.after(-intake_limits.BREAK_GLASS_ALERT)
    return [f"break-glass: sealed key {one.keyid} released {one.bundle} at {one.at} ({one.actor})" for one in used
            if one.at > since]  # fmt: skip
