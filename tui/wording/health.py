"""How many of the station's checks hold: one count, wherever it is told."""

from __future__ import annotations

from appliance.api.status import Status
from tui.terminal.texts import count


def summary(status: Status) -> tuple[str, str]:
    """The role of `tui.terminal.look` and the words: `8 checks hold`, `2 of 8 checks FAIL`."""
    checks = status.health.checks
    failing = sum(not check.ok for check in checks)
    if failing:
        return "bad", f"{failing} of {count(len(checks), 'check')} FAIL"
    if not checks:
        return "wait", "no checks"
    return "ok", f"{count(len(checks), 'check')} hold{'s' if len(checks) == 1 else ''}"
