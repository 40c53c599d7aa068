"""How the stand-by of this station stands, as far as its primary hears of it: a check, and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance import clock
from appliance.limits import standby as limits
from appliance.paths import StationPaths
from appliance.settings.station import Config
from appliance.standby.documents import Role
from appliance.standby.role import find_role
from bundles.errors import LockgateError
from bundles.io.display import safe

Values = Mapping[tuple[tuple[str, str], ...], float]


class StandbyWatch:
    """The stand-by of the station in `paths`, where `config` names an exchange."""

    def __init__(self, config: Config, paths: StationPaths) -> None:
        self._config, self._paths = config, paths

    def check(self) -> dict[str, Any] | None:
        """The check `stand-by` of the station's health; None where it has none. Blocking."""
        if not self._config.standby.exchange:
            return None
        try:
            role = find_role(self._paths, self._config.site)
        except LockgateError as error:
            return {"name": "stand-by", "ok": False, "detail": safe(error.diagnostics())}
        if role is None or not role.created:
            wrong = role.fault if role is not None else ""
            return {"name": "stand-by", "ok": not wrong, "detail": safe(wrong) or "no state was written yet"}
        return _told(role, late=not self._config.standby.hours)

    def gauges(self) -> dict[str, tuple[str, Values]]:
        """The metrics of the pair by name: text and values; without values where there is no stand-by. Blocking."""
        role = None
        if self._config.standby.exchange:
            try:
                role = find_role(self._paths, self._config.site)
            except LockgateError:
                role = None
        lag: Values = {} if role is None or not role.heard else {(): float(_since(role.heard))}
        return {
            "lockgate_standby_lag_seconds": ("Since the state was made that the stand-by holds (M8)", lag),
            "lockgate_standby_up": (
                "1 where the last state could be written",
                {} if role is None else {(): float(bool(role.created) and not role.fault)},
            ),
            "lockgate_standby_term": ("The term of this primary", {} if role is None else {(): float(role.term)}),
        }


def _told(role: Role, *, late: bool) -> dict[str, Any]:
    if role.fault:
        return {"name": "stand-by", "ok": False, "detail": safe(role.fault)}
    if not role.heard:
        return {"name": "stand-by", "ok": True, "detail": f"term {role.term}; no stand-by took a state yet"}
    lag = _since(role.heard)
    well = not late or lag <= limits.STANDBY_LATE
    return {"name": "stand-by", "ok": well, "detail": f"term {role.term}; the stand-by is {lag} s behind"}


def _since(at: str) -> int:
    return max(0, clock.seconds(clock.now()) - clock.seconds(at))
