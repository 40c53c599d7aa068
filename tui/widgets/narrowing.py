"""What a list's filter looks for: `team !done state:failed ~^alpha`. Pure.

Terms stand apart by spaces, and a row must answer each. A term is looked for in every column, whatever its case;
`NAME:` before it looks in the column that begins so, `!` before it wants rows without it, and behind `~` stands a
regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bundles.errors import UsageError

Cells = Mapping[str, str]
"""A row's texts by column; what belongs to no column stands under the empty name."""
_MOST: Final = 100
"""Characters of a filter."""
_QUANTIFIED: Final = re.compile(r"(?<!\\)(?:\\\\)*([*+{])")
_GROUP_REPEATS: Final = re.compile(r"\)\s*[*+{]")


@dataclass(frozen=True)
class Term:
    """One thing that is looked for: `found` says whether a text holds it."""

    found: Callable[[str], bool]
    column: str = ""
    without: bool = False

    def answered(self, cells: Cells) -> bool:
        """Whether a row answers it."""
        texts = [cells[self.column]] if self.column else cells.values()
        return any(map(self.found, texts)) != self.without


def parse(text: str, columns: tuple[str, ...]) -> tuple[Term, ...]:
    """The terms of a filter. Raises UsageError for a regular expression that cannot be read, or that could take long
    on a hostile text."""
    if len(text) > _MOST:
        raise UsageError("the filter is too long", thing=f"{len(text)} characters", remedy=f"use {_MOST}")
    return tuple(_term(word, columns) for word in text.split())


def answers(terms: tuple[Term, ...], cells: Cells) -> bool:
    """Whether a row answers every term."""
    return all(term.answered(cells) for term in terms)


def _term(word: str, columns: tuple[str, ...]) -> Term:
    without, word = word.startswith("!"), word.removeprefix("!")
    named, colon, rest = word.partition(":")
    column = ""
    if colon and named:
        column = next((name for name in columns if name.casefold().startswith(named.casefold())), "")
        word = rest if column else word
    if word.startswith("~"):
        return Term(_regex(word[1:]), column, without)
    wanted = word.casefold()
    return Term(lambda text: wanted in text.casefold(), column, without)


def _regex(pattern: str) -> Callable[[str], bool]:
    """A search for a pattern: two repetitions at most, and none of a group, so that no text makes it slow."""
    if len(_QUANTIFIED.findall(pattern)) > 2 or _GROUP_REPEATS.search(pattern):
        raise UsageError("the filter repeats too much", thing=pattern, remedy="use at most two of * + {, none behind )")
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError) as error:
        raise UsageError("the filter cannot be read", thing=f"{pattern}: {error}", remedy="mend it") from None
    return lambda text: compiled.search(text) is not None
