"""What an inspection report is shown as: a tree of lines, and details that are taken out of a section one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_LEFT_OUT: Final = "_left_out"
_NAMES: Final = ("reference", "image", "repository", "tags", "name", "path", "field", "rule", "kind")
"""Fields that say what a line is about: they stand first."""
_DIGESTS: Final = ("digest", "layer", "index", "subject", "from", "to", "report")
"""Fields that hold a digest: they stand last."""
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a report and what stands below it. `outcome` is `ok`, `note` or `fail`, or empty for a line that only
    says more about the one above it. `folded`: shown as this line alone until somebody asks for what is below.

    Texts are unescaped: whoever shows them escapes them.
    """

    text: str
    outcome: str = ""
    below: tuple[Line, ...] = ()
    folded: bool = False


class Details:
    """A section's details. What was taken is shown in its own place; `rest` shows everything else, so that nothing an
    inspector said is lost."""

    def __init__(self, details: Mapping[str, Any]) -> None:
        self._left = dict(details)

    def take(self, name: str, otherwise: Any = None) -> Any:
        """The value of a field, which is then taken."""
        return self._left.pop(name, otherwise)

    def look(self, name: str) -> Any:
        """The value of a field, which stays."""
        return self._left.get(name)

    def listed(self, name: str) -> tuple[list[Any], int]:
        """A list by its name, and how many entries the report counted and did not list."""
        if not isinstance(self._left.get(name, []), list):
            return [], 0  # not a list: it stays for `rest`
        found, left_out = self._left.pop(name, []), self._left.get(f"{name}{_LEFT_OUT}")
        if isinstance(left_out, int):
            del self._left[f"{name}{_LEFT_OUT}"]
            return found, left_out
        return found, 0

    def rest(self) -> list[Line]:
        """Everything that was not taken; empty lists and mappings say nothing."""
        left, self._left = self._left, {}
        return [line for name, value in in_order(left) for line in said(name, value)]


def in_order(fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The fields with names first and digests last; the others by the alphabet between them."""

    def place(item: tuple[str, Any]) -> tuple[int, int, str]:
        name = item[0]
        if name in _NAMES:
            return 0, _NAMES.index(name), name
        return (2, _DIGESTS.index(name), name) if name in _DIGESTS else (1, 0, name)

    return sorted(fields.items(), key=place)


def said(name: str, value: Any) -> Iterator[Line]:
    """A field as lines; none for an empty list or mapping."""
    label = name.replace("_", " ")
    if isinstance(value, Mapping):
        below = tuple(line for inner, one in in_order(value) for line in said(inner, one))
        if below:
            yield Line(label, below=below)
    elif isinstance(value, list):
        if value:
            yield Line(f"{label} ({len(value)})", below=tuple(entry(one) for one in value))
    else:
        yield Line(f"{label}: {word(value)}")


def entry(one: Any, *, without: Sequence[str] = ()) -> Line:
    """An entry of a list in a line: what it is about, what is said of it, its digests."""
    if not isinstance(one, Mapping):
        return Line(word(one))
    fields = [(name, value) for name, value in in_order(one) if name not in without and value not in ("", [], {})]
    names = [word(value) for name, value in fields if name in _NAMES]
    others = [f"{name.replace('_', ' ')} {word(value)}" for name, value in fields if name not in _NAMES]
    return Line(": ".join(part for part in (" ".join(names), ", ".join(others)) if part))


def group(title: str, found: Sequence[Line], left_out: int = 0, *, outcome: str = "", folded: bool = False,
          first: Sequence[Line] = ()) -> list[Line]:  # fmt: skip
    """A line with its number and its entries below it; none where there are no entries. `first` stands above them."""
    if not found and not left_out:
        return []
    more = [Line(f"and {left_out} more, which the report counts and does not list")] if left_out else []
    return [Line(f"{title} ({len(found) + left_out})", outcome, (*first, *found, *more), folded)]


def word(value: Any) -> str:
    """A value in a line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(word(one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {word(one)}" for name, one in in_order(value))
    return "none" if value is None else str(value)


def size(count: Any) -> str:
    """Bytes in decimal units with at most one digit after the point; nothing for what is no number."""
    if not isinstance(count, int) or isinstance(count, bool):
        return ""
    value = float(count)
    for unit in _UNITS:
        if value < 999.95 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
