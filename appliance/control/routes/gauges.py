"""The station's state as numbers. Names and labels are a promise (docs/reference/metrics.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from appliance import clock
from appliance.access.certificate_alerts import expiries
from appliance.api.status import Status
from appliance.control import diodes
from appliance.control.api import Control
from appliance.control.canary_pull import Pulled
from appliance.control.routes.status import describe
from appliance.limits import station as limits
from appliance.mounts import mounted_media
from appliance.station import Station
from appliance.store.reads import standing
from appliance.store.reads.ledger import stream_states
from appliance.store.reads.webhooks import outbox_state
from appliance.store.reserve import Reserve
from bundles.errors import LockgateError

Values = Mapping[tuple[tuple[str, str], ...], float]


def gauges(control: Control) -> dict[str, tuple[str, Values]]:
    """What the event loop's own connection tells."""
    status, station = describe(control), control.station
    store, jobs = status.store, msgspec.structs.asdict(status.jobs)
    kept = Reserve(station.paths.reserve).kept()
    checks: Values = {(("check", check.name),): float(check.ok) for check in status.health.checks}
    return {
        "lockgate_up": ("The station runs", {(("site", status.site), ("side", status.side)): 1.0}),
        "lockgate_store_blobs": _one("Blobs held", store.blobs),
        "lockgate_store_bytes": _one("Bytes held", store.bytes),
        "lockgate_store_damaged_blobs": _one("Blobs that are damaged and withdrawn", store.damaged),
        "lockgate_store_unread_blobs": _one("Blobs that could not be read", store.unread),
        "lockgate_store_free_bytes": _one("Bytes free on the station's disk", store.free),
        "lockgate_store_disk_bytes": _one("Bytes of the station's disk", store.size),
        "lockgate_store_used_ratio": _one(
            "Share of the station's disk that is used (M7)", _used(store.size, store.free)
        ),
        "lockgate_graveyard_blobs": _one("Collected blobs that wait", store.graveyard.blobs),
        "lockgate_graveyard_bytes": _one("Bytes of collected blobs", store.graveyard.bytes),
        "lockgate_store_read_only": _one("1 where no content is taken in", status.read_only is not None),
        "lockgate_reserve_bytes": _one("Bytes left of the disk's reserve", kept[0]),
        "lockgate_reserve_inodes": _one("Inodes left of the disk's reserve", kept[1]),
        "lockgate_tombstones": _one("Digests whose collection is remembered", store.collected.tombstones),
        "lockgate_jobs": ("Jobs", _by("state", jobs)),
        "lockgate_signatures_waiting": _one("Jobs that wait for a signature", len(status.to_sign)),
        "lockgate_account_changes_waiting": _one("Changes of accounts that wait", status.account_changes),
        "lockgate_quarantined_bundles": _one("Bundles in quarantine", status.quarantine),
        **dict(_quarantined(status)),
        "lockgate_alerts": _one("Lines of alerts in lockgate status", len(status.alerts)),
        "lockgate_audit_events": _one("Events in the audit log since it began (M10)", control.follower.count),
        **dict(_budgets(control)),
        **dict(_probes(control)),
        "lockgate_syslog_waiting_events": _one(
            "Events that the collector has not got yet", control.syslog.waiting(control.follower.heads)
        ),
        "lockgate_health": ("1 where the check is well", checks),
        "lockgate_certificate_seconds_left": ("Seconds until a certificate ends", _certificates(station)),
    }


def counted(station: Station, control: Control) -> dict[str, tuple[str, Values]]:
    """What takes its time, on a station of the calling thread's own. Blocking."""
    carried = control.carried.of(station)
    streams = stream_states(station.reader)[: limits.METRIC_STREAMS]
    uploads = sum(1 for _ in station.paths.uploads.glob("session-*"))
    sboms: Values = {
        (("origin", origin), ("state", state)): float(count)
        for (origin, state), count in standing.sboms_by_state(station.reader).items()
    }
    return {
        "lockgate_uploads": _one("Uploads that have begun and not ended", uploads),
        "lockgate_bundles": ("Outgoing bundles", _by("state", standing.bundles_by_state(station.reader))),
        "lockgate_intake_bundles": ("Bundles that came in", _by("state", standing.entries_by_state(station.reader))),
        "lockgate_webhook_messages": ("Messages for webhooks", _webhooks(station)),
        "lockgate_sboms": ("Images with an SBOM", sboms),
        "lockgate_media_bytes": ("Bytes of mounted media", dict(_media())),
        "lockgate_stream_sequence": (
            "The number of a stream's last bundle",
            {(("stream", one.stream), ("direction", one.direction)): float(one.last_sequence) for one in streams},
        ),
        "lockgate_stream_last_timestamp_seconds": (
            "When a stream's last bundle was made, or came in",
            {
                (("stream", one.stream), ("direction", one.direction)): float(clock.seconds(one.last_at))
                for one in streams
            },
        ),
        "lockgate_stream_carried_seconds": (
            "From its signature to its release here, of the newest bundle released (M8)",
            {(("stream", stream),): one.took for stream, one in carried.items() if one.took is not None},
        ),
        "lockgate_stream_waiting_seconds": (
            "Since its signature, of the oldest bundle that waits for its release (M8)",
            {(("stream", stream),): one.waited for stream, one in carried.items()},
        ),
        **diodes.gauges(station),
        **control.replicas.gauges(),
        **control.standby.gauges(),
    }


def _budgets(control: Control) -> Iterator[tuple[str, tuple[str, Values]]]:
    slo = control.budgets.latest
    by = {one.key: (("slo", one.key.slo), ("objective", one.key.objective)) for one in slo}
    yield (
        "lockgate_slo_objective_ratio",
        ("The share that an objective asks for", {by[one.key]: one.target for one in slo}),
    )
    yield (
        "lockgate_slo_burn_rate",
        (
            "Share of failures in a window over the share that the objective allows (M12)",
            {(*by[one.key], ("window", window)): burn for one in slo for window, burn in one.burn.items()},
        ),
    )
    yield (
        "lockgate_slo_budget_left_ratio",
        ("Share of the error budget that is left (M12)", {by[one.key]: one.left for one in slo}),
    )


def _quarantined(status: Status) -> Iterator[tuple[str, tuple[str, Values]]]:
    sources = status.quarantined[: limits.METRIC_STREAMS]
    held: Values = {(("source", one.source),): float(one.bytes) for one in sources}
    yield "lockgate_quarantined_bytes", ("Bytes of undecided bundles", held)
    quotas: Values = {(("source", one.source),): float(one.quota) for one in sources if one.quota}
    yield "lockgate_quarantine_quota_bytes", ("The most that a source may have of them", quotas)


def _probes(control: Control) -> Iterator[tuple[str, tuple[str, Values]]]:
    latest = control.canary.latest
    doors: dict[tuple[tuple[str, str], ...], Pulled] = (
        {} if latest is None else {(("door", one.door),): one for one in latest.doors}
    )
    at = 0.0 if latest is None else float(clock.seconds(latest.at))
    yield "lockgate_probe_success", ("1 where the canary came", {door: float(one.ok) for door, one in doors.items()})
    yield "lockgate_probe_seconds", ("How long its pull took", {door: one.seconds for door, one in doors.items()})
    yield "lockgate_probe_timestamp_seconds", _one("When it was last pulled, 0 for never", at)


def _one(text: str, value: float) -> tuple[str, Values]:
    return text, {(): float(value)}


def _by(label: str, counts: Mapping[str, int]) -> Values:
    return {((label, name),): float(count) for name, count in counts.items()}


def _used(size: int, free: int) -> float:
    return (size - free) / size if size else 0.0


def _media() -> Iterator[tuple[tuple[tuple[str, str], ...], float]]:
    """Of all media together that are mounted: their room, and what is free."""
    size = free = 0
    for medium in mounted_media(may_list=lambda _: False):
        size, free = size + medium.size, free + medium.free
    yield (("state", "size"),), float(size)
    yield (("state", "free"),), float(free)


def _webhooks(station: Station) -> Values:
    states = [outbox_state(station.reader, name) for name in station.config.webhooks]
    return {
        (("state", "waiting"),): float(sum(one.waiting for one in states)),
        (("state", "dead"),): float(sum(one.dead for one in states)),
    }


def _certificates(station: Station) -> Values:
    try:
        return {(("certificate", one.name),): float(one.seconds_left)
                for one in expiries(station.config, station.paths.root)}  # fmt: skip
    except LockgateError:
        return {(("certificate", "server"),): -1.0}
