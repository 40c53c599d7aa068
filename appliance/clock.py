"""The one reader of the clock: times are UTC text, `YYYY-MM-DDTHH:MM:SSZ`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The time, to the second."""
    return datetime.now(UTC).strftime(FORMAT)


def micros() -> int:
    """Microseconds since 1970: the order of events within a second."""
    return time.time_ns() // 1000


def after(seconds: int) -> str:
    """The time `seconds` from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime(FORMAT)


def at(moment: float) -> str:
    """The time of so many seconds since 1970."""
    return datetime.fromtimestamp(moment, UTC).strftime(FORMAT)


def seconds(text: str) -> int:
    """Seconds since 1970 of a time text. Raises ValueError for any other form."""
    return int(datetime.strptime(text, FORMAT).replace(tzinfo=UTC).timestamp())
