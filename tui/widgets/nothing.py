"""What stands in the place of rows or facts where there are none: one of five states, each with its own word.

A list without rows may be one that the station holds nothing for, one that a filter left nothing of, one that this
account may not see, one that is still asked for, or one that nobody could ask for. To show one of them as another is a
false word: `empty` is said of what the station answered, and of nothing else.
"""

from __future__ import annotations

from enum import Enum


class Known(Enum):
    """What is known of a list or a block of facts; the value is the word it is shown by."""

    UNKNOWN = "unknown"
    """The station was not asked, did not answer, or could not say."""
    LOADING = "loading"
    """It is asked, and has not answered yet."""
    FORBIDDEN = "forbidden"
    """This account may not see it."""
    NO_MATCH = "no match"
    """It answered, and a filter left nothing of what it said."""
    EMPTY = "empty"
    """It answered that there is nothing."""
    SHOWN = "shown"
    """It answered, and that is what stands there."""


def nothing(known: Known, why: str = "") -> str:
    """The line for a state; `why` is fit for display: the reason, the filter, or what would fill an empty list."""
    if known is Known.SHOWN:
        return ""
    if known is Known.UNKNOWN and not why:
        why = "the station has not said"
    return f"{known.value}: {why}" if why and known is not Known.LOADING else known.value
