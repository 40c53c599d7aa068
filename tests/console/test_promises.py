"""Home says what is left of an error budget and when the disk is full, and nothing that it cannot know."""

from __future__ import annotations

import pytest

from appliance.api.status import Activity, ActivityPoint, ObjectiveState, StoreUse
from tui.wording.promises import budget_told, forecast_told

GB = 1_000_000_000


def objective(left: float, name: str = "pulls", slo: str = "all") -> ObjectiveState:
    return ObjectiveState(slo=slo, objective=name, target=0.999, reached=0.9985, left=left, days=30)


def test_the_budget_that_is_spent_furthest_is_told() -> None:
    assert budget_told(()) is None
    assert budget_told((objective(1.0), objective(1.0, "pushes"))) is None
    assert budget_told((objective(0.9), objective(0.5, "fast_pulls"))) == (
        "all fast pulls: 50% left of 30 days",
        "plain",
    )
    assert budget_told((objective(0.2),)) == ("all pulls: 20% left of 30 days", "need")
    told = budget_told((objective(-0.5, slo="prod\x1b"),))
    assert told is not None
    assert (told[1], told[0].isprintable(), "overspent" in told[0]) == ("bad", True, True)


def watched(*stored: int, step: int = 3600) -> Activity:
    points = tuple(ActivityPoint(at="2026-01-01T00:00:00Z", stored=one) for one in stored)
    return Activity(step=step, points=points)


@pytest.mark.parametrize(
    ("activity", "free", "said"),
    [
        (None, GB, ""),
        (watched(), GB, ""),
        (watched(1, 2, step=60), GB, ""),
        (watched(GB, GB), GB, "none in 1 h 00 min"),
        (watched(GB, 0), GB, "none in 1 h 00 min"),
        (watched(0, GB), 48 * GB, "full in 2 d, as in the last 1 h 00 min"),
        (watched(0, 1), 48 * GB, "not full within 5 years, as in the last 1 h 00 min"),
        (watched(0, GB), 0, "full in 0 s, as in the last 1 h 00 min"),
    ],
)
def test_the_disk_is_foretold_from_what_was_watched(activity: Activity | None, free: int, said: str) -> None:
    assert forecast_told(activity, StoreUse(free=free)) == said
