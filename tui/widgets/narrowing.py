"""What a list's filter looks for: `team !done state:failed ~^alpha`. Pure.

Terms stand apart by spaces, and a row must answer each. A term is looked for in every column, whatever its case;
`NAME:` before it looks in the column that begins so, `!` before it wants rows without it, and behind `~` stands a
regular expression (`tui.widgets.linear_regex`), which no text makes slow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bundles.errors import UsageError
from tui.widgets.linear_regex import Pattern

Cells = Mapping[str, str]
"""A row's texts by column; what belongs to no column stands under the empty name."""
_MOST: Final = 100
"""Characters of a filter."""


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
    """The terms of a filter. Raises UsageError for a regular expression that cannot be read."""
    if len(text) > _MOST:
        raise UsageError("the filter is too long", thing=f"{len(text)} characters", remedy=f"use {_MOST}")
    return tuple(_term(word, columns) for word in text.split())


def shared(text: str, columns: tuple[str, ...]) -> tuple[str, str]:
    """What the station looks for, and what is looked for here, of a filter over a list that the station searches by
    name: one plain word is the station's, which knows rows that were not loaded; all else is looked for here."""
    words = text.split()
    if len(words) != 1 or words[0].startswith(("!", "~")):
        return "", text.strip()
    named, colon, _ = words[0].partition(":")
    in_column = colon and any(name.casefold().startswith(named.casefold()) for name in columns)
    return ("", words[0]) if in_column else (words[0], "")


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
        return Term(Pattern(word[1:]).found, column, without)
    wanted = word.casefold()
    return Term(lambda text: wanted in text.casefold(), column, without)
