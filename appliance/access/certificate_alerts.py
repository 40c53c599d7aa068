"""What the station says about its certificates: 30, 7 and 1 days before they end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.access.certificates import Expiry, expiry_of
from appliance.settings.station import Config
from bundles.errors import LockgateError


def expiries(config: Config, root: Path) -> list[Expiry]:
    """The certificates that clients meet. None on an open station. Blocking. Raises FailedError."""
    if config.open:
        return []
    found = [expiry_of(config.tls.path(root, "certificate"), "server")]
    if config.tls.path(root, "ca").is_file():
        found.append(expiry_of(config.tls.path(root, "ca"), "CA"))
    return found


def check(config: Config, root: Path) -> dict[str, Any]:
    """The health check: wrong from a day before the end on. `alerts` begin thirty days before."""
    try:
        found = expiries(config, root)
    except LockgateError as error:
        return {"name": "certificates", "ok": False, "detail": error.diagnostics(), "alerts": []}
    soon = [entry for entry in found if entry.level]
    detail = "; ".join(entry.text for entry in soon or found[:1]) or "none needed: the station is open"
    ok = all(entry.level < 3 for entry in found)
    return {"name": "certificates", "ok": ok, "detail": detail, "alerts": [entry.text for entry in soon] if ok else []}
