"""Recording rules with the names that Sloth's dashboards know, and alert rules, as a rule file of Prometheus.

Each objective of config.toml has three service levels: pulls, pushes and fast pulls. Alarms are by site and objective,
and carry the objective's owner and contact: the receiver groups by these labels, so that one cause is one alarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from appliance.settings.slo import ObjectiveSettings, SloSettings

WINDOW: Final = "WINDOW"
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
_VERSION: Final = "lockgate"
BURN: Final = 5
"""Times the allowed rate above which somebody is woken, over five minutes."""
_HALF_A_DAY: Final = "half a day's budget within an hour"
ESCALATE: Final = 12
"""Times the allowed rate that spends half a day's budget within an hour."""


@dataclass(frozen=True, slots=True)
class Level:
    """A service level: `failed` and `all` are expressions in which WINDOW stands for one, `target` is in percent."""

    slo: str
    name: str
    settings: ObjectiveSettings
    failed: str
    all: str

    @property
    def target(self) -> float:
        """In percent."""
        value: float = getattr(self.settings, self.name)
        return value

    @property
    def id(self) -> str:
        """What Sloth calls `sloth_id`."""
        return f"lockgate-{self.slo}-{self.name.replace('_', '-')}"

    @property
    def labels(self) -> dict[str, str]:
        """Of each of its recordings."""
        return {"sloth_id": self.id, "sloth_service": f"lockgate-{self.slo}", "sloth_slo": self.name.replace("_", "-")}

    @property
    def matched(self) -> str:
        """A selector for its recordings."""
        return "{" + ",".join(f'{name}="{value}"' for name, value in self.labels.items()) + "}"


def levels(settings: SloSettings) -> Iterator[Level]:
    """Every service level of the settings."""
    for slo, one in settings.named().items():
        for name in ("pulls", "pushes"):
            counter = f"lockgate_{name}_total"
            yield Level(
                slo, name, one,
                f'sum by (site) (rate({counter}{{slo="{slo}",result="station"}}[WINDOW]))',
                f'sum by (site) (rate({counter}{{slo="{slo}",result=~"good|station"}}[WINDOW]))',
            )  # fmt: skip
        small = f'slo="{slo}",size=~"manifest|small"'
        every = f"sum by (site) (rate(lockgate_pull_seconds_count{{{small}}}[WINDOW]))"
        fast = f'sum by (site) (rate(lockgate_pull_seconds_bucket{{{small},le="{float(one.pull_seconds)}"}}[WINDOW]))'
        yield Level(slo, "fast_pulls", one, f"({every} - {fast})", every)


def rule_groups(settings: SloSettings) -> list[dict[str, Any]]:
    """The groups of the file, as Prometheus reads them."""
    found = []
    for level in levels(settings):
        found.append(_group(f"sloth-slo-sli-recordings-{level.id}", _recordings(level, settings)))
        found.append(_group(f"sloth-slo-meta-recordings-{level.id}", _meta(level, settings)))
        found.append(_group(f"sloth-slo-alerts-{level.id}", _burning(level)))
    return [*found, _group("lockgate-station", _station(settings))]


def rule_file(settings: SloSettings) -> str:
    """The file, as YAML. Ends with a newline."""
    lines = ["# Rules for Prometheus, made by: lockgate metrics rules", "groups:"]
    for group in rule_groups(settings):
        lines += [f"  - name: {json.dumps(group['name'])}", "    rules:"]
        for rule in group["rules"]:
            for at, (key, value) in enumerate(rule.items()):
                before = "        " if at else "      - "
                if isinstance(value, dict):
                    lines.append(f"{before}{key}:")
                    lines += [f"          {name}: {json.dumps(each)}" for name, each in value.items()]
                else:
                    lines.append(f"{before}{key}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording (`record`) or an alert (`alert`, with `wait` as its `for:`)."""

    expr: str
    labels: dict[str, str]
    record: str = ""
    alert: str = ""
    wait: str = ""
    summary: str = ""


def _recordings(level: Level, settings: SloSettings) -> Iterator[Rule]:
    for window in WINDOWS:
        expr = f"({level.failed.replace(WINDOW, window)}) / ({level.all.replace(WINDOW, window)} > 0)"
        yield Rule(expr, level.labels | {"sloth_window": window}, f"slo:sli_error:ratio_rate{window}")
    name, period = f"slo:sli_error:ratio_rate5m{level.matched}", f"{settings.days}d"
    expr = f"sum_over_time({name}[{period}]) / ignoring (sloth_window) count_over_time({name}[{period}])"
    yield Rule(expr, level.labels | {"sloth_window": period}, f"slo:sli_error:ratio_rate{period}")


def _meta(level: Level, settings: SloSettings) -> Iterator[Rule]:
    def of(name: str) -> str:
        return f"{name}{level.matched}"

    share, by = f"{level.target / 100:.8g}", level.labels
    joined = " / on (sloth_id, sloth_slo, sloth_service) group_left () "
    yield Rule(f"vector({share})", by, "slo:objective:ratio")
    yield Rule(f"vector(1 - {share})", by, "slo:error_budget:ratio")
    yield Rule(f"vector({settings.days})", by, "slo:time_period:days")
    yield Rule(
        f"{of('slo:sli_error:ratio_rate5m')}{joined}{of('slo:error_budget:ratio')}", by, "slo:current_burn_rate:ratio"
    )
    period = f"slo:sli_error:ratio_rate{settings.days}d"
    yield Rule(f"{of(period)}{joined}{of('slo:error_budget:ratio')}", by, "slo:period_burn_rate:ratio")
    yield Rule(f"1 - {of('slo:period_burn_rate:ratio')}", by, "slo:period_error_budget_remaining:ratio")
    told = {"sloth_version": _VERSION, "sloth_mode": "cli-gen-prom", "sloth_spec": "prometheus/v1",
            "sloth_objective": f"{level.target:g}"}  # fmt: skip
    yield Rule("vector(1)", by | told, "sloth_slo_info")


def _burning(level: Level) -> Iterator[Rule]:
    def above(window: str, times: float) -> str:
        allowed = f"{times * (100 - level.target) / 100:.8g}"
        return f"(max by (site) (slo:sli_error:ratio_rate{window}{level.matched}) > {allowed})"

    what = f"{level.slo} {level.name.replace('_', ' ')}"
    kinds = (
        ("page", f"{above('5m', BURN)} and {above('1h', BURN)}", "5m", f"{BURN} times as fast as allowed"),
        (
            "escalate",
            f"{above('1h', ESCALATE)} and {above('5m', ESCALATE)}",
            "2m",
            "half a day's budget within an hour",
        ),
        ("ticket", f"{above('6h', 1)} and {above('30m', 1)}", "30m", "faster than allowed"),
    )
    for severity, expr, wait, how in kinds:
        labels = {"severity": severity, "slo": level.slo, "objective": level.name, "owner": level.settings.owner,
                  "contact": level.settings.contact}  # fmt: skip
        told = f"{what} at {{{{ $labels.site }}}}: the error budget burns {how}"
        yield Rule(expr, {name: text for name, text in labels.items() if text}, alert="LockgateErrorBudgetBurn",
                   wait=wait, summary=told)  # fmt: skip


def _station(settings: SloSettings) -> Iterator[Rule]:
    held = "lockgate_authentications_total"
    wrong = f'sum by (site) (rate({held}{{result!="good"}}[15m])) / sum by (site) (rate({held}[15m]))'
    storage, failed = settings.storage / 100, settings.authentication_errors / 100
    month = f"predict_linear(lockgate_store_used_ratio[1d], {7 * 86_400})"
    rules = (
        ("LockgateDown", "page", 'up{job="lockgate"} == 0', "5m", "the station does not answer"),
        ("LockgateUnhealthy", "ticket", "lockgate_health == 0", "15m", "check {{ $labels.check }} is not well"),
        ("LockgateReadOnly", "page", "lockgate_store_read_only == 1", "1m", "no content is taken in: the disk is full"),
        ("LockgateStorage", "ticket", f"lockgate_store_used_ratio > {storage:.8g}", "30m", "the disk fills"),
        ("LockgateStorageForecast", "ticket", f"{month} > 0.95", "6h", "the disk is full within a week"),
        ("LockgateDamaged", "page", "lockgate_store_damaged_blobs > 0", "5m", "blobs are damaged, and withdrawn"),
        ("LockgateUnread", "ticket", "lockgate_store_unread_blobs > 0", "15m", "blobs could not be read"),
        ("LockgateCollectedInUse", "page", "increase(lockgate_registry_collected_total[15m]) > 0", "0m",
         "a {{ $labels.kind }} was asked for that a collection took"),
        ("LockgateActsUnwritten", "page", "increase(lockgate_audit_unwritten_total[15m]) > 0", "0m",
         "acts did not happen, since the audit log did not take them"),
        ("LockgateLogInsFail", "ticket", f"({wrong}) > {failed:.8g}", "30m", "log-ins fail more often than allowed"),
        ("LockgateCertificateEnds", "ticket", "lockgate_certificate_seconds_left < 2592000", "1h",
         "the {{ $labels.certificate }} certificate ends within 30 days"),
        ("LockgateCertificateEndsSoon", "page", "lockgate_certificate_seconds_left < 259200", "10m",
         "the {{ $labels.certificate }} certificate ends within 3 days"),
        ("LockgateBundleWaits", "ticket", "lockgate_stream_waiting_seconds > 259200", "1h",
         "a bundle of {{ $labels.stream }} has not been released for 3 days"),
        ("LockgateSyslogLost", "page", 'increase(lockgate_syslog_events_total{result="lost"}[15m]) > 0', "0m",
         "events of the audit log will never reach the collector"),
        ("LockgateSyslogWaits", "ticket", "min_over_time(lockgate_syslog_waiting_events[15m]) > 0", "15m",
         "the collector does not get the audit log"),
        ("LockgateProbeFails", "page", 'increase(lockgate_probes_total{reason!="ok"}[15m]) > 0', "5m",
         "the canary does not come through a {{ $labels.door }}: {{ $labels.reason }}"),
        ("LockgateJobsFail", "ticket", 'increase(lockgate_jobs_ended_total{state="failed"}[1h]) > 0', "0m",
         "a job failed: {{ $labels.kind }}"),
    )  # fmt: skip
    for name, severity, expr, wait, told in rules:
        yield Rule(expr, {"severity": severity}, alert=name, wait=wait, summary=f"{{{{ $labels.site }}}}: {told}")


def _group(name: str, rules: Iterator[Rule]) -> dict[str, Any]:
    return {"name": name, "rules": [_rule(rule) for rule in rules]}


def _rule(rule: Rule) -> dict[str, Any]:
    kind = {"record": rule.record} if rule.record else {"alert": rule.alert}
    wait = {"for": rule.wait} if rule.wait else {}
    told = {"annotations": {"summary": rule.summary}} if rule.summary else {}
    return {**kind, "expr": rule.expr, **wait, "labels": rule.labels, **told}
