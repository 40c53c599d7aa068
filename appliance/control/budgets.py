"""How much of each objective's error budget is spent, by what the station itself counted.

Every minute what was counted since is added to that minute and to that hour; both are kept in a file across restarts.
The burn rate of a window is the share of failures in it over the share that the objective allows: 1 spends the budget
of `[slo] days` in just that time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from appliance.limits import station as limits
from appliance.measures.series import Layout
from appliance.settings.slo import ObjectiveSettings, SloSettings
from bundles.errors import LockgateError
from bundles.io.files import read_small, write_atomic

WINDOWS: Final = {"5m": 300, "1h": 3_600, "6h": 21_600, "1d": 86_400, "3d": 259_200}
"""The windows that burn rates are told of, in seconds; that of the budget itself comes beside them."""

_MINUTE: Final = 60
_HOUR: Final = 3_600
_FINE: Final = 21_600
"""Seconds for which minutes are kept."""


class Key(NamedTuple):
    """An objective of the settings and which of its three shares it is: `pulls`, `pushes`, `fast_pulls`."""

    slo: str
    objective: str


@dataclass(frozen=True, slots=True)
class Budget:
    """`target` as a share; `burn` by window; `failed` and `all` are events of the last `[slo] days`; `left` is the
    share of the budget that is left, below 0 where it is overspent."""

    key: Key
    target: float
    burn: Mapping[str, float]
    failed: float
    all: float
    left: float

    @property
    def burns(self) -> bool:
        """Whether it burns so fast that somebody is to be woken: for five minutes and still within the hour."""
        return min(self.burn["5m"], self.burn["1h"]) > limits.SLO_BURN


@dataclass(slots=True)
class Budgets:
    """The budgets of a station. `path`: where they are kept."""

    settings: SloSettings
    layout: Layout
    path: Path
    latest: tuple[Budget, ...] = ()
    """As they stood when `take` was last called."""
    _before: dict[Key, tuple[float, float]] = field(default_factory=dict)
    _ends: dict[Key, dict[str, list[int]]] = field(default_factory=dict)
    """The cells of pulls and pushes, by whose doing their end is."""
    _sums: dict[int, dict[int, dict[Key, list[float]]]] = field(default_factory=dict)
    """By length (a minute, an hour) and by start, in seconds: what failed and all, of each."""

    def __post_init__(self) -> None:
        self._sums = {_MINUTE: {}, _HOUR: {}}
        self._ends = {key: {"good": [], "station": [], "client": []} for key, _ in self._keys()}
        for family, values, at in self.layout.series():
            if (key := Key(values[0] if values else "", family.name.removeprefix("lockgate_"))) in self._ends:
                self._ends[key][values[2]].append(at)
        known = {key for key, _ in self._keys()}
        for length, at, slo, objective, failed, total in _kept(self.path):
            if length in self._sums and (key := Key(slo, objective)) in known:
                self._sums[length].setdefault(at, {})[key] = [failed, total]

    def take(self, totals: list[float], now: int) -> None:
        """Add what was counted since the last time. `totals`: every cell; `now`: seconds. After a start of the station
        counters begin at 0 again."""
        for key, settings in self._keys():
            failed, total = self._counted(key, settings, totals)
            before = self._before.get(key, (0.0, 0.0))
            if total < before[1]:
                before = (0.0, 0.0)
            self._before[key] = failed, total
            for length, sums in self._sums.items():
                cell = sums.setdefault(now - now % length, {}).setdefault(key, [0.0, 0.0])
                cell[0] += failed - before[0]
                cell[1] += total - before[1]
        for length, kept in ((_MINUTE, _FINE), (_HOUR, self.settings.days * 86_400)):
            self._sums[length] = {at: sums for at, sums in self._sums[length].items() if at > now - kept - length}
        self.latest = tuple(self._budget(key, settings, now) for key, settings in self._keys())

    def keep(self) -> None:
        """Write the file. Blocking. Raises FailedError."""
        rows = [
            [length, at, *key, *cell]
            for length, sums in self._sums.items()
            for at, each in sums.items()
            for key, cell in each.items()
            if cell[1]
        ]
        write_atomic(self.path, json.dumps(rows, separators=(",", ":")).encode(), 0o600)

    def _budget(self, key: Key, settings: ObjectiveSettings, now: int) -> Budget:
        target = getattr(settings, key.objective) / 100
        allowed = 1 - target
        burn = {name: _share(*self._within(key, seconds, now)) / allowed for name, seconds in WINDOWS.items()}
        failed, total = self._within(key, self.settings.days * 86_400, now)
        return Budget(key, target, burn, failed, total, 1 - _share(failed, total) / allowed)

    def _within(self, key: Key, seconds: int, now: int) -> tuple[float, float]:
        length = _MINUTE if seconds <= _FINE else _HOUR
        cells = [each[key] for at, each in self._sums[length].items() if key in each and at > now - seconds]
        return sum(cell[0] for cell in cells), sum(cell[1] for cell in cells)

    def _keys(self) -> Iterator[tuple[Key, ObjectiveSettings]]:
        for name, settings in self.settings.named().items():
            for objective in ("pulls", "pushes", "fast_pulls"):
                yield Key(name, objective), settings

    def _counted(self, key: Key, settings: ObjectiveSettings, totals: list[float]) -> tuple[float, float]:
        """What failed and all, since the station started."""
        if key.objective == "fast_pulls":
            fast = total = 0.0
            for size in ("manifest", "small"):
                at = self.layout.at("lockgate_pull_seconds", key.slo, size)
                bounds = self.layout.bounds(at)
                total += sum(totals[at : at + len(bounds) + 1])
                fast += sum(totals[at : at + bounds.index(settings.pull_seconds) + 1])
            return total - fast, total
        ends = self._ends[key]
        failed = sum(totals[at] for at in ends["station"])
        return failed, failed + sum(totals[at] for at in ends["good"])


def _share(failed: float, total: float) -> float:
    return failed / total if total else 0.0


def _kept(path: Path) -> Iterator[tuple[int, int, str, str, float, float]]:
    """The file's rows; none where there is no such file, or not one of ours: budgets then begin anew."""
    try:
        rows: Any = json.loads(read_small(path, limits.SLO_FILE))
    except (LockgateError, ValueError, RecursionError):
        return
    for row in rows if isinstance(rows, list) else ():
        match row:
            case [int(length), int(at), str(slo), str(objective), int() | float() as failed, int() | float() as total]:
                yield length, at, slo, objective, float(failed), float(total)
