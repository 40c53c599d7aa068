"""What the demo's stations say of channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.console.doubles import data
from tests.console.doubles.state import DemoState


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the paths of channels."""
    match path.strip("/").split("/"):
        case ["v1", "channels"]:
            return {"items": _channels() if station.side == "inside" else [], "next": None}
        case ["v1", "promotions"]:
            return _moved("promote", f"{arguments['to']}/team/web-portal:stable")
        case ["v1", "rollbacks"]:
            return _moved("rollback", str(arguments["channel"]))
    return None


def _moved(act: str, reference: str) -> dict[str, Any]:
    return {
        "act": act, "reference": reference, "digest": data.digest("team/web-portal:7.0.2"),
        "before": data.digest("team/web-portal:7.0.3"), "source": "staging/team/web-portal:stable", "policy": 3,
        "linked": 0,
    }  # fmt: skip


def _channels() -> list[dict[str, Any]]:
    base = {"act": "promote", "seal": "good"}
    return [
        base | {
            "reference": "production/team/web-portal:stable", "stage": "production", "verdict": "passes",
            "digest": data.digest("team/web-portal:7.0.3"), "since": "2026-05-02T08:14:00Z", "actor": "m.okafor",
            "source": "staging/team/web-portal:7.0.3", "reason": "soaked for two days",
        },
        base | {
            "reference": "staging/team/batch:2.4", "stage": "staging", "verdict": "refused",
            "digest": data.digest("team/batch:2.4"), "since": "2026-04-27T11:40:00Z", "actor": "robot-ci",
            "source": "dev/team/batch:2.4", "reason": "",
            "why": "gate 1 of the policy for images: severity: CVE-2026-1412 (critical) in requests 2.19",
            "asks": "fixed in 2.20",
        },
        base | {
            "reference": "staging/team/reports:1", "stage": "staging", "verdict": "warns", "seal": "damaged",
            "digest": data.digest("team/reports:1"),
            "why": "it is retired since 2026-05-01T00:00:00Z, and its successor is dev/team/reports:2",
        },
    ]  # fmt: skip
