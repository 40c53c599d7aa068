"""What the double's stations say of a period, and of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.console.doubles.state import DemoState

_ACTS = [{"act": "intake.import", "done": 3, "refused": 1, "failed": 0},
         {"act": "intake.release", "done": 2, "refused": 0, "failed": 0}]  # fmt: skip


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to these paths."""
    if path == "/v1/report":
        return _report(str(arguments["period"]))
    return _live() if path == "/v1/live" else None


def _report(period: str) -> dict[str, Any]:
    return {
        "site": "bravo", "period": period, "since": "2026-04-27T14:00:00Z", "until": "2026-05-04T14:00:00Z",
        "log_begins": "2026-04-29T00:00:00Z", "events": 4_311,
        "denied": [{"name": "team/web-portal", "count": 1_204}, {"name": "base/redis", "count": 7, "over": 2}],
        "failed_pushes": [], "pulled": [{"name": "base/postgres", "count": 18_223}],
        "refused": [{"name": "robot-ci", "count": 31}],
        "objectives": [
            {"slo": "production", "objective": "fast_pulls", "target": 0.99, "reached": 0.971, "left": -0.4,
             "days": 28},
            {"slo": "production", "objective": "pulls", "target": 0.999, "reached": 0.9998, "left": 0.8, "days": 28},
        ],
        "incidents": [{"time": "2026-05-02T08:14:00Z", "act": "intake.import", "actor": "b.carrier",
                       "thing": "alpha.bravo-000005", "outcome": "refused"}],
        "incident_count": 3,
        "roles": [{"role": "courier", "persons": 2, "robots": 0, "names": ["b.carrier", "c.carrier"]}],
        "account_changes": [], "retention": [], "transfer": _ACTS,
        "streams": [{"stream": "alpha.bravo", "direction": "in", "sequence": 7, "at": "2026-05-04T09:12:00Z"}],
        "storage": {"size": 2_000_000_000_000, "free": 1_400_000_000_000, "store": 58_200_000_000,
                    "came": 3_280_000_000, "collected": 120_000_000, "days_left": 412},
    }  # fmt: skip


def _live() -> dict[str, Any]:
    def counted(name: str, requests: int, failed: int, *took: int) -> dict[str, Any]:
        return {"name": name, "requests": requests, "failed": failed, "bytes": requests * 81_000, "took": took}

    return {"at": "2026-05-04T14:00:00Z", "workers": 2, "heard": [
        {"worker": 1, "at": "2026-05-04T14:00:00Z", "seconds": 62.0, "under_way": 3, "requests": [],
         "accounts": [counted("robot-ci", 900, 4, 800, 60, 30, 6, 3, 1),
                      counted("(nobody) 10.0.0.9", 12, 12, 12, 0, 0, 0, 0, 0)],
         "repositories": [counted("team/web-portal", 840, 4, 760, 50, 22, 4, 3, 1),
                          counted("base/postgres", 60, 0, 40, 10, 8, 2, 0, 0)],
         "reasons": []}]}  # fmt: skip
