"""Numbers and times as people read them: decimal bytes, plain words, UTC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.cells import cell_len, set_cell_size

from bundles.io.display import safe

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """Bytes in decimal units with at most one digit after the point: `842 B`, `1.2 MB`."""
    value = float(count)
    for unit in _UNITS:
        if value < 999.95 or unit == _UNITS[-1]:
            return f"{int(count)} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the last unit takes every number")


def number(count: int) -> str:
    """A whole number with thousands set apart: `12,480`."""
    return f"{count:,}"


def count(amount: int, noun: str, plural: str | None = None) -> str:
    """`1 volume`, `3 volumes`."""
    return f"{number(amount)} {noun if amount == 1 else plural or noun + 's'}"


def percent(done: int, total: int) -> str:
    """Whole percent, never 100 before the end; empty where the total is not known."""
    if total <= 0:
        return ""
    return f"{100 if done >= total else min(done * 100 // total, 99)}%"


def span(length: float) -> str:
    """A length of time in seconds: `45 s`, `12 min`, `3 h 05 min`, `4 d`."""
    seconds = int(length)
    if seconds < 60:
        return f"{max(seconds, 0)} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // (24 * 60)} d"


def moment(time: str | None) -> str:
    """A wire time without its seconds: `2026-05-04 09:12`."""
    return f"{safe(time[:10])} {safe(time[11:16])}" if time else "never"


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """`text` in exactly `width` cells: cut with an ellipsis, or padded. Wide characters count as two cells."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + ellipsis
    return set_cell_size(text, width)


def words(parts: Iterable[str]) -> str:
    """Untrusted names as one list: `a, b, c`; `none` when there are none."""
    return ", ".join(safe(part) for part in parts) or "none"


def wrap(text: str, width: int, *, breaks_words: bool = True) -> list[str]:
    """`text` in lines of at most `width` cells, broken at spaces where there are any, else anywhere: digests stay
    whole and are never cut short. Without `breaks_words` a word that is wider is a line of its own, as it is."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            rest = word
            if line and cell_len(line) + 1 + cell_len(rest) <= width:
                line = f"{line} {rest}"
                continue
            if line:
                lines.append(line)
            while breaks_words and cell_len(rest) > width:
                head = set_cell_size(rest, width).rstrip()
                lines.append(head)
                rest = rest[len(head) :]
            line = rest
        lines.append(line)
    return lines
