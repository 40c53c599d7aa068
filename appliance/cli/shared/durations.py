"""Times that are written with a unit, such as 90s, 30m, 2h, 30d and 4w."""

from __future__ import annotations

import re
from typing import Final

from bundles.errors import UsageError

_TIME: Final = re.compile(r"(?P<number>[0-9]{1,7})(?P<unit>[smhdw])\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def seconds_of(text: str, example: str) -> int:
    """The seconds of a time with its unit. Raises UsageError."""
    match = _TIME.match(text)
    if match is None:
        raise UsageError("not a time with its unit", thing=text[:40], remedy=f"write {example}")
    return int(match["number"]) * _SECONDS[match["unit"]]
