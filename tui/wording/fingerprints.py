"""Fingerprints as people compare them: digits in groups of four, words in groups that are read in one breath."""

from __future__ import annotations

from bundles.io.display import safe
from bundles.signing.fingerprint_words import GROUP, words_of
from tui.widgets.panel import fact
from tui.widgets.rows import Span

_DIGITS = 4


def hex_lines(fingerprint: str, groups: int = 8) -> list[str]:
    """The digits in lines of `groups` groups of four."""
    parts = [fingerprint[start : start + _DIGITS] for start in range(0, len(fingerprint), _DIGITS)]
    return [safe(" ".join(parts[start : start + groups])) for start in range(0, len(parts), groups)]


def word_lines(fingerprint: str, breaths: int = 1) -> list[str]:
    """The words, `breaths` groups a line; nothing for what is no fingerprint."""
    try:
        words = words_of(fingerprint)
    except ValueError:
        return []
    groups = [" ".join(words[start : start + GROUP]) for start in range(0, len(words), GROUP)]
    return [", ".join(groups[start : start + breaths]) for start in range(0, len(groups), breaths)]


def fingerprint_facts(fingerprint: str, name_width: int) -> list[list[Span]]:
    """The lines `sha256` and `words` of a panel."""
    lines: list[list[Span]] = []
    for name, parts in (("sha256", hex_lines(fingerprint)), ("words", word_lines(fingerprint, 2))):
        for number, part in enumerate(parts):
            lines.append(fact("" if number else name, part, name_width=name_width))
    return lines
