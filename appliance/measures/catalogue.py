"""Every family that a station's processes count in (docs/reference/metrics.md). Names and labels are a promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.api.states import FINAL_STATES
from appliance.audit.acts import Act
from appliance.measures.series import Family, Layout, family
from appliance.settings.slo import ALL

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other")
STATUSES: Final = (
    "200", "201", "202", "204", "206", "304", "400", "401", "403", "404", "405", "408", "409", "412", "413", "414",
    "416", "417", "429", "500", "502", "503", "507", "other",
)  # fmt: skip
OTHER: Final = "other"

RESULT: Final = {
    "ok": "good",
    "token": "client", "denied": "client", "block": "client", "policy": "client", "name": "client", "request": "client",
    "rate": "client", "network": "client", "upstream": "client",
    "collected": "station", "damaged": "station", "disk": "station", "unavailable": "station", "internal": "station",
}  # fmt: skip
"""By reason, whose doing the end of a pull or a push is. Only `station` counts against the station's objectives."""

CONNECTIONS: Final = ("accepted", "tls", "plain", "shed", "late")

CACHED: Final = ("hit", "miss", "stale", "absent", "failed")
"""How a question to a cache ends: it was here; it was fetched; it was here and the upstream could not be asked; the
upstream does not have it; it could not be fetched."""

SIZES: Final = ("manifest", "small", "medium", "large")
SMALL: Final = 1_000_000
MEDIUM: Final = 100_000_000
"""Bytes of an answer up to which a blob is small, and medium."""

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The upper bounds of pulls and pushes."""

OUTCOMES: Final = ("done", "refused", "failed")
ACTS: Final = frozenset(map(str, Act))
JOB_KINDS: Final = (
    "collect",
    "build",
    "recut",
    "import",
    "inspect",
    "gc",
    "scrub",
    "scan",
    "advisories",
    "receipt",
    "sftp-push",
    "sftp-pull",
    "sftp-list",
    "diode-send",
    "diode-receive",
    "warm",
    "replica",
)
JOB_ENDS: Final = FINAL_STATES
PROBES: Final = ("ok", "connect", "tls", "time", "token", "denied", "name", "answer", "digest", "large")
"""How a probe of one door ends."""

SCANS: Final = ("pass", "findings", "unknown")
JOB_SECONDS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)


def layout(objectives: Sequence[str] = (ALL,), further: Sequence[float] = ()) -> Layout:
    """The layout for a site's objectives; `further` are bounds in seconds that these need of pulls."""
    bounds = tuple(sorted({*SECONDS, *further}))
    return Layout([*_registry(objectives, bounds), *_access(), *_audit(), *_jobs()])


def _registry(objectives: Sequence[str], bounds: tuple[float, ...]) -> list[Family]:
    kinds = ("blob", "manifest")
    ends = tuple(
        (slo, kind, result, reason) for slo in objectives for kind in kinds for reason, result in RESULT.items()
    )
    by = ("slo", "kind", "result", "reason")
    return [
        family("lockgate_registry_requests", "Requests answered by the registry", method=METHODS, status=STATUSES),
        family("lockgate_registry_collected", "Requests for content that a collection took (M9)", kind=kinds),
        Family("lockgate_pulls", "GETs of manifests and blobs, by how they ended (M1)", by, ends),
        family("lockgate_pull_seconds", "Whole pulls that were good (M2)", bounds, slo=objectives, size=SIZES),
        family("lockgate_pull_bytes", "Bytes sent by pulls that were good (M11)", slo=objectives, size=SIZES),
        Family("lockgate_pushes", "Manifests and blobs pushed, by how that ended (M4)", by, ends),
        family("lockgate_push_seconds", "Requests that ended a push well", SECONDS, slo=objectives, kind=kinds),
        family("lockgate_push_bytes", "Bytes received by requests to push", slo=objectives),
        family("lockgate_manifest_reads", "Manifests read, by where from (M3)", source=("memory", "disk")),
        family("lockgate_cache_answers", "Reads in repositories of caches (M3)", kind=kinds, result=CACHED),
        family(
            "lockgate_connections", "Connections to the registry", result=("accepted", "tls", "plain", "shed", "late")
        ),
    ]


def _access() -> list[Family]:
    return [
        family("lockgate_authentications", "Requests with credentials, by whether these held (M6)",
               scheme=("bearer", "basic", "other"), result=("good", "wrong", "locked", "unexplained")),
        family("lockgate_tokens_issued", "Bearer tokens given"),
    ]  # fmt: skip


def _audit() -> list[Family]:
    return [
        family("lockgate_audit_unwritten", "Acts that did not happen, since the audit log did not take them (M10)"),
        family("lockgate_acts", "Events of the audit log, of every process", act=sorted(ACTS), outcome=OUTCOMES),
    ]


def _jobs() -> list[Family]:
    return [
        family("lockgate_jobs_ended", "Jobs that ended", kind=JOB_KINDS, state=JOB_ENDS),
        family("lockgate_job_seconds", "From a job's start to its end", JOB_SECONDS, kind=JOB_KINDS),
        family(
            "lockgate_scanned_images", "Images held against the advisories (M5)", result=("pass", "findings", "unknown")
        ),
        family("lockgate_spans", "Spans of requests and jobs that were to be recorded",
               result=("taken", "dropped", "unwritten")),
        family("lockgate_syslog_events", "Events of the audit log for the collector", result=("sent", "lost")),
        family("lockgate_probes", "Pulls of the canary, by how they ended (F1)",
               door=("listener", "worker"), reason=PROBES),
        family("lockgate_promotion_seconds", "Promotions and rollbacks, from the request to their end", SECONDS,
               act=("promote", "rollback"), result=("done", "refused", "failed")),
        family("lockgate_webhook_deliveries", "Attempts to tell webhooks", result=("delivered", "failed", "dead")),
    ]  # fmt: skip
