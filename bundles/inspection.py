"""An inspection report as lines for a person who is to decide: the same on a station and on an officer's machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

MARKS: Final = {"ok": "[ok]", "note": "[..]", "fail": "[!!]"}
_NOTES: Final = 40
"""Lines of notes a section gets on a terminal; the document has all."""
_FOUND: Final = ("escaping", "devices", "setuid", "absolute", "unread")


def lines(sections: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a section, and beneath it what should not be overlooked. Unescaped: whoever prints it escapes it."""
    shown = []
    for section in sections:
        shown.append(f"{MARKS.get(section['outcome'], '[!!]')} {section['inspector']:<11} {section['summary']}")
        shown += [f"     {noted}" for noted in notes(section["details"])]
    return shown


def notes(details: Mapping[str, Any]) -> list[str]:
    """What an officer should not overlook in a section, a line each."""
    found = [
        f"{moved['reference']} moves from {moved['from']} to {moved['to']}" for moved in details.get("moved", [])
        if "from" in moved
    ]  # fmt: skip
    for moved in details.get("moved", []):
        found += [f"{moved['reference']}: {one['field']} was {one['before']}, is {one['now']}"
                  for one in moved.get("configuration", [])]  # fmt: skip
        found += [f"{moved['reference']}: component {what} {one}" for what in ("added", "removed")
                  for one in moved.get(what, [])]  # fmt: skip
    found += [f"another platform: {entry}" for entry in details.get("platforms_differ", [])]
    found += [f"no SBOM: {name}" for name in details.get("images_without_sbom", [])]
    found += [f"no signature: {name}" for name in details.get("images_without_signature", [])]
    for kind in _FOUND:
        found += [f"{kind}: {_place(one)}" for one in details.get(kind, [])]
    more = len(found) - _NOTES
    return [*found[:_NOTES], f"and {more} more: see --json"] if more > 0 else found


def _place(one: object) -> str:
    if not isinstance(one, Mapping):
        return str(one)
    return " ".join(str(value) for name, value in one.items() if name != "layer")
