"""What the site promised of its registry, and when its disk is full: said on Home. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.api.status import Activity, ObjectiveState, StoreUse
from bundles.io.display import safe, some
from tui.terminal.texts import span

_LEAST: Final = 3600.0
"""Seconds that were watched, below which nothing is said of the future: an import is no pace."""

_LITTLE: Final = 0.25
"""The share of an error budget below which it is marked."""

_FAR: Final = 5 * 365 * 86_400.0


def budget_told(objectives: Sequence[ObjectiveState]) -> tuple[str, str] | None:
    """The objective whose error budget is spent furthest, with the role of its text; None where none is spent."""
    worst = min(objectives, key=lambda one: one.left, default=None)
    if worst is None or worst.left >= 1:
        return None
    name = f"{safe(worst.slo)} {worst.objective.replace('_', ' ')}"
    days = some(worst.days, "day", "days")
    if worst.left <= 0:
        return f"{name}: overspent, {worst.reached:.3%} of {worst.target:.3%} in {days}", "bad"
    return f"{name}: {worst.left:.0%} left of {days}", "need" if worst.left < _LITTLE else "plain"


def forecast_told(activity: Activity | None, store: StoreUse) -> str:
    """When the disk is full at the pace of the time that was watched; "" where too little was."""
    if activity is None or not activity.points:
        return ""
    watched = float((len(activity.points) - 1) * activity.step)
    if watched < _LEAST:
        return ""
    grew = activity.points[-1].stored - activity.points[0].stored
    if grew <= 0:
        return f"none in {span(watched)}"
    left = store.free * watched / grew
    full = "not full within 5 years" if left > _FAR else f"full in {span(left)}"
    return f"{full}, as in the last {span(watched)}"
