"""An inspection report as lines for a person who is to decide: the same on a station and on an officer's machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

MARKS: Final = {"ok": "[ok]", "note": "[..]", "fail": "[!!]"}
_NOTES: Final = 40
"""Lines of notes a section gets on a terminal; the document has all."""
_FAILING: Final = ("misnamed", "escaping", "ambiguous", "mislisted", "unread")
_NOTED: Final = ("capabilities", "devices", "setuid", "absolute", "opaque")


def lines(sections: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a section, and beneath it what should not be overlooked. Unescaped: whoever prints it escapes it."""
    shown = []
    for section in sections:
        shown.append(f"{MARKS.get(section['outcome'], '[!!]')} {section['inspector']:<11} {section['summary']}")
        shown += [f"     {noted}" for noted in notes(section["details"])]
    return shown


def notes(details: Mapping[str, Any]) -> list[str]:
    """What an officer should not overlook in a section, a line each: what fails first, and of each kind of finding
    some, however many another has."""
    failing = [
        [f"{one['rule']}: {one['found']} found, {one['listed']} listed" for one in details.get("over_cap", [])],
        [f"the policy does not let its source write {name}" for name in details.get("not_allowed", [])],
        [
            f"{one['reference']} is of another source: {one['source']} put it at {one['from']} with {one['bundle']}"
            for one in details.get("of_another_source", [])
        ],
        [f"another kind: {entry}" for entry in details.get("kinds_differ", [])],
        [f"a platform that is none: {entry}" for entry in details.get("platforms_malformed", [])],
        *([f"{kind}: {_place(one)}" for one in details.get(kind, [])] for kind in _FAILING),
    ]
    noted = [_changes(details), *([f"{kind}: {_place(one)}" for one in details.get(kind, [])] for kind in _NOTED)]
    groups = [group for group in (*failing, *noted) if group]
    share = _NOTES // max(1, len(groups))
    total = sum(map(len, groups))
    if total <= _NOTES:
        return [line for group in groups for line in group]
    shown = [line for group in groups for line in group[:share]]
    return [*shown, f"and {total - len(shown)} more: see --json"]


def _changes(details: Mapping[str, Any]) -> list[str]:
    found = [
        f"{moved['reference']} moves from {moved['from']}{_put_by(moved)} to {moved['to']}"
        for moved in details.get("moved", [])
        if "from" in moved
    ]
    for moved in details.get("moved", []):
        found += [f"{moved['reference']}: {one['field']} was {one['before']}, is {one['now']}"
                  for one in moved.get("configuration", [])]  # fmt: skip
        found += [f"{moved['reference']}: component {what} {one}" for what in ("added", "removed")
                  for one in moved.get(what, [])]  # fmt: skip
    found += [f"another platform: {entry}" for entry in details.get("platforms_differ", [])]
    found += [f"no SBOM: {name}" for name in details.get("images_without_sbom", [])]
    found += [f"no signature: {name}" for name in details.get("images_without_signature", [])]
    return found


def _put_by(moved: Mapping[str, Any]) -> str:
    return f" ({moved['bundle']} of {moved['source']})" if "bundle" in moved and "source" in moved else ""


def _place(one: object) -> str:
    if not isinstance(one, Mapping):
        return str(one)
    return " ".join(str(value) for name, value in one.items() if name != "layer")
