"""Lines about what comes over a diode, few of them: anybody may send what a line is said about."""

from __future__ import annotations

import time
from collections.abc import Callable

from appliance.limits import diode as limits


class FewLines:
    """Says lines, at most `limits.DIODE_LINES` at once and then one in `limits.DIODE_QUIET` seconds: anybody may send
    what a line is said about. How many were left out is said with the next one."""

    def __init__(self, tell: Callable[[str], object], now: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._now = tell, now
        self._left, self._moment, self._out = float(limits.DIODE_LINES), now(), 0

    def __call__(self, line: str) -> None:
        moment = self._now()
        self._left = min(limits.DIODE_LINES, self._left + (moment - self._moment) / limits.DIODE_QUIET)
        self._moment = moment
        if self._left < 1:
            self._out += 1
            return
        self._left -= 1
        self._tell(f"{line} (before it, {self._out} lines were left out)" if self._out else line)
        self._out = 0
