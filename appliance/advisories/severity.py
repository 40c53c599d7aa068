"""How severe an advisory is: by its CVSS vectors (3.x and 4.0), else by its database's own word."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

UNKNOWN: Final = "unknown"
LEVELS: Final = ("critical", "high", "medium", "low", "none", UNKNOWN)
"""From the worst on; `unknown` may be anything."""
SEVERE: Final = frozenset({"critical", "high", UNKNOWN})
"""The levels of what people are told of without asking."""

_WORDS: Final = {
    "critical": "critical", "important": "high", "high": "high", "moderate": "medium", "medium": "medium",
    "low": "low", "negligible": "low",
}  # fmt: skip
_VECTOR: Final = 300


class Rating(NamedTuple):
    """A level of `LEVELS`, the CVSS base score in tenths or None, and the vector that it comes from."""

    level: str
    tenths: int | None = None
    vector: str = ""


def rate(vectors: Sequence[tuple[str, str]], word: Any = None) -> Rating:
    """The highest rating of pairs of type (`CVSS_V3`, `CVSS_V4`) and vector; else the one that `word` names.

    A vector that cannot be read rates nothing: `unknown` is no low severity.
    """
    rated = [
        Rating(level_of(tenths), tenths, vector)
        for kind, vector in vectors
        if (tenths := _tenths(kind, vector)) is not None
    ]
    if rated:
        return max(rated, key=lambda one: one.tenths or 0)
    return Rating(_WORDS.get(word.strip().lower(), UNKNOWN) if isinstance(word, str) else UNKNOWN)


def level_of(tenths: int) -> str:
    """CVSS 3.1, section 5, and 4.0, section 6: the qualitative severity rating scale."""
    for least, level in ((90, "critical"), (70, "high"), (40, "medium"), (1, "low")):
        if tenths >= least:
            return level
    return "none"


@lru_cache(maxsize=4096)
def _tenths(kind: str, vector: str) -> int | None:
    import cvss  # here: commands that show no advisory do not load it

    readers: dict[str, Any] = {"CVSS_V3": cvss.CVSS3, "CVSS_V4": cvss.CVSS4}
    if kind not in readers or len(vector) > _VECTOR:
        return None
    try:
        return round(float(readers[kind](vector).base_score) * 10)
    except (cvss.CVSSError, ValueError, KeyError, ArithmeticError, AttributeError):
        return None
