"""A bundle's custody record as a form: text for a printer, or one HTML page.

The record is the control API's document (docs/reference/control-api.md, `/v1/bundles/{id}/custody`).
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, Final

from bundles.io.display import safe
from bundles.io.files import write_atomic

_CELL: Final = 80
"""Characters of a cell on the form: a digest is shown whole."""
_STEPS: Final = ("steps", "Steps", ("at", "state", "actor", "note"))
_DECISIONS: Final = ("decisions", "Decisions", ("at", "decision", "owner", "keyid", "why"))
_HANDOVERS: Final = ("handovers", "Hand-overs", ("at", "giver", "taker", "medium", "serial", "seal", "note", "actor"))
_HEADINGS: Final = (
    ("timeline", "Both sides, by time", ("at", "site", "what", "who", "note")),
    _STEPS,
    ("signatures", "Signed by", ("keyid", "owner", "note")),
    _DECISIONS,
    _HANDOVERS,
    ("events", "Audit log", ("time", "act", "outcome", "actor", "lane", "seq")),
)
_OTHERS: Final = (_STEPS, _DECISIONS, _HANDOVERS)


def _facts(record: dict[str, Any]) -> list[tuple[str, str]]:
    """What stands above the tables of a record."""
    facts = [
        ("station", record["site"]),
        ("digest", record["digest"] or "not brought in here"),
        ("state", record["state"] or "-"),
        ("audit head", record["head"]),
    ]
    if record["made"] is not None:
        made = record["made"]
        facts.append(("made", f"at {made['source']}, {made['created']}, with {made['tool']}"))
        facts += [(name, made[name]) for name in ("purpose", "authorisation", "classification") if made[name]]
    return facts


def _other_facts(other: dict[str, Any]) -> list[tuple[str, str]]:
    receipt = other["receipt"]
    return [
        ("station", other["site"]),
        ("digest", other["digest"]),
        ("state", other["state"]),
        ("audit head", other["head"]),
        ("told by", f"receipt {receipt['number']} of {receipt['created']}, {receipt['digest']}"),
        ("signed by", f"{receipt['owner']} ({receipt['keyid']}), taken {receipt['taken']}"),
    ]


def as_text(record: dict[str, Any]) -> str:
    """The record as a form to print and sign by hand."""
    lines = [f"CUSTODY RECORD  {safe(record['id'])}", *_fact_lines(_facts(record))]
    lines += _table_lines(record, _HEADINGS)
    if record["other"] is not None:
        lines += ["", "THE OTHER SIDE", *_fact_lines(_other_facts(record["other"]))]
        lines += _table_lines(record["other"], _OTHERS)
    lines += ["", "Handed over by ______________________  Taken by ______________________  Date ____________"]
    return "\n".join(lines)


def _fact_lines(facts: list[tuple[str, str]]) -> list[str]:
    return [f"{name:<15} {safe(value)}" for name, value in facts]


def _table_lines(record: dict[str, Any], headings: tuple[tuple[str, str, tuple[str, ...]], ...]) -> list[str]:
    lines = []
    for name, title, columns in headings:
        lines += ["", title]
        rows = [[safe(str(row[column]), width=_CELL) for column in columns] for row in record[name]]
        widths = [max([len(column), *(len(row[at]) for row in rows)]) for at, column in enumerate(columns)]
        for row in [list(columns), *rows] if rows else [["none"]]:
            lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
    return lines


def as_html(record: dict[str, Any]) -> str:
    """The same form as one HTML page without scripts, pictures or links."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>Custody record {_cell(record['id'])}</title>",
        "<style>body{font:11pt serif}table{border-collapse:collapse}td,th{border:1px solid;padding:2px 6px;"
        "text-align:left;overflow-wrap:anywhere}</style>",
        f"<h1>Custody record {_cell(record['id'])}</h1>",
        *_fact_rows(_facts(record)),
        *_tables(record, _HEADINGS),
    ]
    if record["other"] is not None:
        parts += ["<h1>The other side</h1>", *_fact_rows(_other_facts(record["other"]))]
        parts += _tables(record["other"], _OTHERS)
    parts.append("<p>Handed over by ____________________ Taken by ____________________ Date ____________</html>")
    return "\n".join(parts) + "\n"


def _fact_rows(facts: list[tuple[str, str]]) -> list[str]:
    return ["<table>", *(f"<tr><th>{name}<td>{_cell(value)}" for name, value in facts), "</table>"]


def _tables(record: dict[str, Any], headings: tuple[tuple[str, str, tuple[str, ...]], ...]) -> list[str]:
    parts = []
    for name, title, columns in headings:
        parts.append(f"<h2>{title}</h2><table><tr>" + "".join(f"<th>{column}" for column in columns))
        for row in record[name]:
            parts.append("<tr>" + "".join(f"<td>{_cell(row[column])}" for column in columns))
        parts.append("</table>")
    return parts


def _cell(value: object) -> str:
    return html.escape(safe(str(value)))


def write_form(path: Path, record: dict[str, Any]) -> None:
    """The HTML form as a new file. Raises FailedError where it exists or cannot be written."""
    write_atomic(path, as_html(record).encode(), replace=False)
