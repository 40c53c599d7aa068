"""The inspection report as a person reads it: any typed document, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appliance.api.intake import IntakeDetail

_OUTCOMES = {"ok": "[ok]", "note": "[ i]", "fail": "[!!] FAIL"}


def report_text(entry: IntakeDetail) -> str:
    """The report's sections with their outcomes, then its digest; says so where there is none yet."""
    report = entry.report
    if report is None:
        return "no report yet: it is made when all volumes are verified"
    lines: list[str] = []
    for section in report.get("sections", ()):
        outcome = str(section.get("outcome"))
        lines.append(f"{_OUTCOMES.get(outcome, outcome)} {section.get('inspector')}: {section.get('summary')}")
        lines.extend(section_lines(section))
        lines.append("")
    made = f"made by {report.get('site')} at {report.get('created')}"
    return "\n".join([*lines, made, f"digest of this report {entry.report_digest}"])


def section_lines(section: dict[str, Any]) -> Iterator[str]:
    """The details of a section, indented: untrusted text, to be made fit by who shows it."""
    for name, value in dict(section.get("details") or {}).items():
        yield from _lines(str(name), value, 2)


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
