"""What a registry says of its pull rate limit: 429, Retry-After (RFC 6585, section 4; RFC 9110, section 10.2.3), and
the RateLimit headers (draft-ietf-httpapi-ratelimit-headers, and Docker Hub's before it)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from appliance import clock
from appliance.limits import collecting as limits
from bundles.errors import FailedError

LIMITED: Final = "rate-limited"
"""The code of a reference that the registry's limit stops."""

_EPOCHS: Final = 1_000_000_000
"""From here on a number is a moment and no delay: Docker Hub writes when the limit ends, in seconds since 1970."""

_REMAINING: Final = ("RateLimit-Remaining", "X-RateLimit-Remaining")
_RESET: Final = ("RateLimit-Reset", "X-RateLimit-Reset")
_FIELD: Final = re.compile(r"(?:^|[;,])\s*(r|t|remaining|reset)=([0-9]{1,12})(?![0-9])")


def delay_of(retry_after: str, now: int) -> int | None:
    """Seconds to wait by a Retry-After header: seconds, a date, or a moment since 1970; None where it says nothing.

    At most limits.REMOTE_RETRY_MOST: what a registry claims beyond is no plan.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        number = int(text[:12])
        delay = number - now if number >= _EPOCHS else number
    else:
        try:
            delay = int(parsedate_to_datetime(text).timestamp()) - now
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(delay, 0), limits.REMOTE_RETRY_MOST)


def left_of(headers: Mapping[str, str], now: int) -> tuple[int, int | None] | None:
    """How many pulls an answer says are left, and in how many seconds there are more (None: it does not say); None
    where it says nothing of a limit."""
    fields = dict(_FIELD.findall(headers.get("RateLimit", "")[:1000]))
    remaining = _number(headers, _REMAINING) or fields.get("r") or fields.get("remaining")
    if not remaining:
        return None
    reset = _number(headers, _RESET) or fields.get("t") or fields.get("reset") or ""
    return int(remaining), delay_of(reset, now)


def _number(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The number that the first of these headers begins with: `76;w=21600` is 76."""
    for name in names:
        text = headers.get(name, "").partition(";")[0].partition(",")[0].strip()
        if text.isascii() and text.isdigit() and len(text) <= 12:
            return text
    return ""


def limited(thing: str, delay: int | None) -> FailedError:
    """The error of a pull that the registry's limit stops; `thing` says what was asked for."""
    when = f"after {clock.after(delay)}" if delay else "later: it did not say when"
    return FailedError(
        "the registry's pull rate limit is reached",
        thing=thing,
        remedy=f"try again {when}; what was fetched is kept, and the network is well",
        code=LIMITED,
    )
