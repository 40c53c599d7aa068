"""Dashboards for Grafana, as the JSON that it imports: for who answers for the registry, who is on call, who looks for
the cause. The data source is chosen in Grafana."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA: Final = 39
_WIDTH: Final = 12
_HEIGHT: Final = 8
NAMES: Final = ("executive", "on-call", "debug")


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: its title, its unit in Grafana's words, and its queries with their legends. `kind` is a graph's or a
    single number's."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"


_SITE: Final = 'site=~"$site"'
_SLO: Final = f'{_SITE},slo=~"$slo"'


def _good(name: str, window: str) -> str:
    return (
        f'sum by (slo) (increase(lockgate_{name}_total{{{_SLO},result="good"}}[{window}])) / '
        f'sum by (slo) (increase(lockgate_{name}_total{{{_SLO},result=~"good|station"}}[{window}]))'
    )


def _failing(name: str) -> str:
    return f'sum by (slo, reason) (rate(lockgate_{name}_total{{{_SLO},result!="good"}}[5m]))'


def _acts(acts: str, window: str) -> str:
    return f'sum by (act) (increase(lockgate_acts_total{{{_SITE},act=~"{acts}"}}[{window}]))'


def _quantile(share: float, name: str, by: str) -> str:
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({name}_bucket{{{_SLO}}}[5m])))"


_PANELS: Final[dict[str, tuple[Panel, ...]]] = {
    "executive": (
        Panel("Pulls that the station does not fail, a day (M1)", "percentunit", ((_good("pulls", "1d"), "{{slo}}"),)),
        Panel("Pushes, 30 days (M4)", "percentunit", ((_good("pushes", "30d"), "{{slo}}"),)),
        Panel("Error budget left (M12)", "percentunit",
              ((f"lockgate_slo_budget_left_ratio{{{_SLO}}}", "{{slo}} {{objective}}"),)),
        Panel("Disk used, and in 30 days (M7)", "percentunit", (
            (f"lockgate_store_used_ratio{{{_SITE}}}", "{{site}} now"),
            (f"predict_linear(lockgate_store_used_ratio{{{_SITE}}}[7d], 30 * 86400)", "{{site}} in 30 days"))),
        Panel("Scanned images without findings (M5)", "percentunit", ((
            f'sum(increase(lockgate_scanned_images_total{{{_SITE},result="pass"}}[30d])) / '
            f'sum(increase(lockgate_scanned_images_total{{{_SITE},result=~"pass|findings"}}[30d]))', "pass"),)),
        Panel("From signature to release (M8)", "s", (
            (f"lockgate_stream_carried_seconds{{{_SITE}}}", "{{stream}} took"),
            (f"lockgate_stream_waiting_seconds{{{_SITE}}}", "{{stream}} waits"))),
    ),
    "on-call": (
        Panel("Burn rate, 5 minutes and an hour (M12)", "none",
              ((f'lockgate_slo_burn_rate{{{_SLO},window=~"5m|1h"}}', "{{slo}} {{objective}} {{window}}"),)),
        Panel("Failing pulls by reason", "ops",
              ((_failing("pulls"), "{{slo}} {{reason}}"),)),
        Panel("Failing pushes by reason", "ops",
              ((_failing("pushes"), "{{slo}} {{reason}}"),)),
        Panel("Canary, pulls that failed by door and reason", "none", ((
            f'sum by (door, reason) (increase(lockgate_probes_total{{{_SITE},reason!="ok"}}[15m]))',
            "{{door}} {{reason}}"),)),
        Panel("Checks that are not well", "none", ((f"lockgate_health{{{_SITE}}} == 0", "{{site}} {{check}}"),)),
        Panel("Log-ins that fail, beside rotations (M6)", "ops", (
            (f'sum by (scheme, result) (rate(lockgate_authentications_total{{{_SITE},result!="good"}}[5m]))',
             "{{scheme}} {{result}}"),
            (_acts("account.secret|token.revoke", "5m"), "{{act}}"))),
        Panel("Collections, deletions, blocks", "none", (
            (_acts("gc|gc.unlink|delete-manifest|delete-tag|block", "1h"), "{{act}}"),
            (f"sum by (kind) (increase(lockgate_registry_collected_total{{{_SITE}}}[1h]))", "wanted: {{kind}} (M9)"))),
        Panel("Jobs that failed or were refused", "none", (
            (f'sum by (kind, state) (increase(lockgate_jobs_ended_total{{{_SITE},state=~"failed|refused"}}[1h]))',
             "{{kind}} {{state}}"),)),
        Panel("Certificates end in", "s", ((f"lockgate_certificate_seconds_left{{{_SITE}}}", "{{certificate}}"),)),
    ),
    "debug": (
        Panel("Pulls, p50 and p99 by size (M2)", "s", (
            (_quantile(0.5, "lockgate_pull_seconds", "slo, size"), "{{slo}} {{size}} p50"),
            (_quantile(0.99, "lockgate_pull_seconds", "slo, size"), "{{slo}} {{size}} p99"))),
        Panel("Pushes, p99", "s", ((_quantile(0.99, "lockgate_push_seconds", "slo, kind"), "{{slo}} {{kind}}"),)),
        Panel("Throughput of a pull (M11)", "Bps", ((
            f"sum by (size) (rate(lockgate_pull_bytes_total{{{_SLO}}}[5m])) / "
            f"sum by (size) (rate(lockgate_pull_seconds_sum{{{_SLO}}}[5m]))", "{{size}}"),)),
        Panel("Requests by status", "reqps",
              ((f"sum by (method, status) (rate(lockgate_registry_requests_total{{{_SITE}}}[5m])) > 0",
                "{{method}} {{status}}"),)),
        Panel("Manifests read from the disk (M3)", "percentunit", ((
            f'sum(rate(lockgate_manifest_reads_total{{{_SITE},source="disk"}}[5m])) / '
            f"sum(rate(lockgate_manifest_reads_total{{{_SITE}}}[5m]))", "cold"),)),
        Panel("Connections", "ops",
              ((f"sum by (result) (rate(lockgate_connections_total{{{_SITE}}}[5m]))", "{{result}}"),)),
        Panel("Bytes in and out", "Bps", (
            (f"sum by (slo) (rate(lockgate_pull_bytes_total{{{_SLO}}}[5m]))", "{{slo}} out"),
            (f"sum by (slo) (rate(lockgate_push_bytes_total{{{_SLO}}}[5m]))", "{{slo}} in"))),
        Panel("Events in the audit log (M10)", "none", (
            (f"increase(lockgate_audit_events{{{_SITE}}}[5m])", "written"),
            (f"increase(lockgate_audit_unwritten_total{{{_SITE}}}[5m])", "not written"))),
        Panel("Tokens given", "ops", ((f"sum(rate(lockgate_tokens_issued_total{{{_SITE}}}[5m]))", "tokens"),)),
        Panel("Waiting", "none", (
            (f"sum by (state) (lockgate_jobs{{{_SITE}}})", "jobs {{state}}"),
            (f"sum(lockgate_uploads{{{_SITE}}})", "uploads"),
            (f"sum(lockgate_signatures_waiting{{{_SITE}}})", "signatures"))),
    ),
}  # fmt: skip


def panels(name: str) -> tuple[Panel, ...]:
    """A dashboard's panels. Raises KeyError for an unknown name."""
    return _PANELS[name]


def dashboard(name: str) -> dict[str, Any]:
    """A dashboard as Grafana imports it, one of `NAMES`."""
    return {
        "uid": f"lockgate-{name}",
        "title": f"Lockgate: {name}",
        "tags": ["lockgate"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [_source(), _variable("site", "lockgate_up", "site"),
                                _variable("slo", "lockgate_slo_objective_ratio", "slo")]},
        "links": [{"type": "dashboards", "tags": ["lockgate"], "title": "Lockgate", "includeVars": True,
                   "keepTime": True}],
        "panels": [_panel(number, panel) for number, panel in enumerate(_PANELS[name])],
    }  # fmt: skip


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _variable(name: str, metric: str, label: str) -> dict[str, Any]:
    query = f"label_values({metric}, {label})"
    return {"name": name, "type": "query", "datasource": _SOURCE, "query": query, "refresh": 2, "multi": True,
            "includeAll": True, "allValue": ".*"}  # fmt: skip


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    place = {"x": _WIDTH * (number % 2), "y": _HEIGHT * (number // 2), "w": _WIDTH, "h": _HEIGHT}
    targets = [
        {"refId": chr(ord("A") + at), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
        for at, (query, legend) in enumerate(panel.queries)
    ]
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    url = "/d/lockgate-on-call?${__url_time_range}&${datasource:queryparam}&${site:queryparam}&${slo:queryparam}"
    onwards = {"title": "by objective and reason", "url": url}
    return {"id": number + 1, "type": panel.kind, "title": panel.title, "datasource": _SOURCE, "gridPos": place,
            "targets": targets, "fieldConfig": {"defaults": defaults, "overrides": []}, "links": [onwards]}  # fmt: skip
