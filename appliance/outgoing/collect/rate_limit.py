"""What a registry says of its pull rate limit: 429, and Retry-After (RFC 6585, section 4; RFC 9110, section 10.2.3)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final

from appliance import clock, limits
from bundles.errors import FailedError

_EPOCHS: Final = 1_000_000_000
"""From here on a number is a moment and no delay: Docker Hub writes when the limit ends, in seconds since 1970."""


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


def limited(thing: str, delay: int | None) -> FailedError:
    """The error of a pull that the registry's limit stops; `thing` says what was asked for."""
    when = f"after {clock.after(delay)}" if delay else "later: it did not say when"
    return FailedError(
        "the registry's pull rate limit is reached",
        thing=thing,
        remedy=f"try again {when}; what was fetched is kept, and the network is well",
    )
