"""The inspection report as a person reads it: any typed document, field by field, the verdict first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tui.station import IntakeDetail

_FIRST = ("verdict", "findings", "added", "changed", "removed", "unchanged")


def report_text(entry: IntakeDetail) -> str:
    """The report and its digest; says so where there is none yet."""
    if entry.report is None:
        return "no report yet: it is made when all volumes are verified"
    fields = dict(entry.report)
    fields.pop("type", None)
    names = [name for name in _FIRST if name in fields] + [name for name in fields if name not in _FIRST]
    lines = [line for name in names for line in _lines(name, fields[name], 0)]
    return "\n".join([*lines, "", f"digest of this report: {entry.report_digest}"])


def _lines(name: str, value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    label = name.replace("_", " ")
    if isinstance(value, dict):
        yield f"{indent}{label}"
        for inner, one in value.items():
            yield from _lines(str(inner), one, depth + 1)
    elif isinstance(value, list):
        yield f"{indent}{label}: {len(value) or 'none'}"
        for one in value:
            if isinstance(one, dict):
                yield f"{indent}  - " + ", ".join(f"{key} {_word(inner)}" for key, inner in one.items())
            else:
                yield f"{indent}  - {_word(one)}"
    else:
        yield f"{indent}{label}: {_word(value)}"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return "none" if value is None else str(value)
