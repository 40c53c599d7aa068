"""Times as text, `YYYY-MM-DDTHH:MM:SSZ` in UTC: their order as text is their order in time. No clock is read here."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from bundles.errors import MalformedError

FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z", re.ASCII)


def check_time(text: str, what: str) -> str:
    """The text, if it is a time that exists; `what` names the field. Raises MalformedError."""
    if _TIME.match(text):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            # Later Pythons take an hour 24, which is another spelling of the next day's first.
            if text[11:13] < "24":
                return text
    raise MalformedError(f"{what} is not a time", thing=repr(text)[:60], remedy="write YYYY-MM-DDTHH:MM:SSZ")


def later(text: str, by: timedelta) -> str:
    """The time `by` after `text`, or the last one that can be written. `text` has passed `check_time`."""
    try:
        return (datetime.fromisoformat(text) + by).strftime(FORMAT)
    except OverflowError:
        return "9999-12-31T23:59:59Z"
