"""What to do about one tag: a pure decision over three sides, here, there, and what was followed before."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class Verdict(StrEnum):
    """What a comparison of one tag comes to."""

    EQUAL = "equal"
    FOLLOW = "follow"
    """It moved there, and stands here where it was followed last."""
    GONE = "gone"
    """It is gone there, and stands here where it was followed last."""
    MOVED_HERE = "moved-here"
    """It moved here alone."""
    MOVED_BOTH = "moved-both"
    """It moved on both sides, or stood here already when it was met for the first time."""
    WENT_BACK = "went-back"
    """It stands there where it stood before something later was followed."""


CONFLICTS = frozenset({Verdict.MOVED_HERE, Verdict.MOVED_BOTH, Verdict.WENT_BACK})
"""What a person decides about."""


def compare(here: str, there: str, followed: Sequence[str]) -> Verdict:
    """The verdict about a tag that stands at the digest `here`, and `there` at the primary; "" for nowhere. `followed`
    are the digests at which it was followed, the oldest first, "" for its end."""
    last = followed[-1] if followed else ""
    if here == there:
        return Verdict.EQUAL
    if here != last:
        return Verdict.MOVED_HERE if there == last and followed else Verdict.MOVED_BOTH
    if not there:
        return Verdict.GONE
    return Verdict.WENT_BACK if there in _since_its_end(followed) else Verdict.FOLLOW


def too_many_gone(gone: int, followed: int, least: int, share: float) -> bool:
    """Whether so many of the tags that were followed are gone at once that the primary has lost its content."""
    return gone > max(least, int(followed * share))


def _since_its_end(followed: Sequence[str]) -> Sequence[str]:
    """What was followed since the tag was last gone: one that was made anew may stand anywhere."""
    ends = [place for place, digest in enumerate(followed) if not digest]
    return followed[ends[-1] + 1 :] if ends else followed
