"""What the demo's stations say went on in the last hours: the same at every start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.console.doubles.state import DemoState

_POINTS: Final = 180


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the path of the activity."""
    if path != "/v1/activity":
        return None
    inside = station.side == "inside"
    points = [
        {
            "at": f"2026-05-04T{11 + minute // 60:02d}:{minute % 60:02d}:00Z",
            "pulls": (minute * 37 % 23) * (minute % 60 < 40) if inside else minute * 7 % 5,
            "pushes": 0 if inside else minute * 11 % 9,
            "errors": int(minute in (71, 72, 140)),
            "imports": int(inside and minute in (20, 95, 160)),
            "refused": int(inside and minute == 130),
            "stored": 58_200_000_000 + 1_640_000_000 * sum(minute >= at for at in (20, 95)),
        }
        for minute in range(_POINTS)
    ]
    return {"step": 60, "points": points}
