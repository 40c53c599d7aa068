"""Finding by a part of a name: letters in order, better when they stand together or begin a word."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def score(query: str, text: str) -> int | None:
    """How well `text` answers `query`, higher is better; None when it does not hold the letters in order."""
    wanted, within = query.lower(), text.lower()
    if not wanted:
        return 0
    whole = within.find(wanted)
    if whole >= 0:
        begins = whole == 0 or not within[whole - 1].isalnum()
        return 1000 + (500 if begins else 0) - whole
    place, total = -1, 0
    for letter in wanted:
        found = within.find(letter, place + 1)
        if found < 0:
            return None
        total += 5 if found == place + 1 else -min(found - place, 10)
        place = found
    return total


def rank(query: str, things: Iterable[T], text: Callable[[T], str]) -> list[T]:
    """The things that answer, best first; equals keep their order."""
    scored = [(score(query, text(thing)), number, thing) for number, thing in enumerate(things)]
    found = [(value, number, thing) for value, number, thing in scored if value is not None]
    return [thing for _, _, thing in sorted(found, key=lambda one: (-one[0], one[1]))]
