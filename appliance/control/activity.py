"""What went on minute by minute, for the console's first screen: pulls, pushes, errors, imports and the store's size.

It is worked out from what all processes count anyway, kept in memory, and begins anew when the station is started:
monitoring keeps history (docs/howto/observe.md).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from appliance import clock
from appliance.api.status import Activity, ActivityPoint
from appliance.measures.series import Layout

STEP: Final = 60
"""Seconds of a point."""
KEPT: Final = 360
"""Points that are kept: six hours."""
_JOBS: Final = {"imports": ("import", "done"), "refused": ("import", "refused")}
Totals = Sequence[float]


@dataclass
class ActivityKeeper:
    """Adds what was counted to the minute in which it is asked. For one thread at a time."""

    layout: Layout
    _points: deque[tuple[int, dict[str, float]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    _before: dict[str, float] = field(default_factory=dict)
    _cells: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cells: dict[str, list[int]] = {name: [] for name in ("pulls", "pushes", "errors", *_JOBS)}
        for family, values, at in self.layout.series():
            if family.name in ("lockgate_pulls", "lockgate_pushes"):
                if values[2] == "good":
                    cells[family.name.removeprefix("lockgate_")].append(at)
                elif values[2] == "station":
                    cells["errors"].append(at)
            elif family.name == "lockgate_jobs_ended":
                for name, wanted in _JOBS.items():
                    if values == wanted:
                        cells[name].append(at)
        self._cells = cells

    def take(self, totals: Totals, now: int, stored: int) -> None:
        """Add what was counted since the last time. `totals`: every cell; `now`: seconds; `stored`: the store's bytes.
        A minute in which nobody looked stands with nothing in it and the size that is found now."""
        counted = {name: sum(totals[at] for at in cells) for name, cells in self._cells.items()}
        begins = now - now % STEP
        while self._points and self._points[-1][0] < begins - KEPT * STEP:
            self._points.clear()  # the machine slept: nothing of that time is known
        for at in range(self._points[-1][0] + STEP, begins + STEP, STEP) if self._points else (begins,):
            self._points.append((at, {"stored": float(stored)}))
        point = self._points[-1][1]
        for name, amount in counted.items():
            since = amount - self._before.get(name, 0.0)
            point[name] = point.get(name, 0.0) + (since if since >= 0 else amount)
        point["stored"] = float(stored)
        self._before = counted

    def told(self, wire_time: Callable[[float], str] = clock.at) -> Activity:
        """The document."""
        points = tuple(
            ActivityPoint(at=wire_time(at), **{name: int(amount) for name, amount in counted.items()})
            for at, counted in tuple(self._points)
        )
        return Activity(step=STEP, points=points)
