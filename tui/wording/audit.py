"""The audit log as the control API tells it, and its chain check in words."""

from __future__ import annotations

from typing import Any, Final

from appliance.api.audit import Checked, Event
from appliance.api.status import Head
from bundles.io.display import safe
from tui.terminal.texts import count
from tui.widgets.rows import Span

OUTCOMES: Final = {"done": "ok", "refused": "bad", "failed": "bad"}
_SHOWN: Final = 3
"""Findings on the screen; `lockgate audit verify` and the saved page name all."""


def chain_lines(head: Head, checked: Checked | None, at: str, mark: dict[str, str]) -> list[list[Span]]:
    """How the chain stands; `mark` gives a role's mark, `at` is when it was checked."""
    if checked is None:
        said = f"all {count(head.events, 'event')}" if head.events else "every event"
        lines: list[list[Span]] = [
            [(f"{mark['wait']} not checked since this console was opened: c looks at {said}", "wait")]
        ]
    elif checked.ok:
        held = f"{count(checked.events, 'event')} in {count(checked.lanes, 'lane')} hold: none edited, removed or moved"
        lines = [[(f"{mark['ok']} {held}", "ok")]]
        covered = f"at {at}, {count(checked.checkpoints, 'checkpoint')}"
        if checked.head_expected:
            lines.append([(f"{mark['ok']} the log holds the head that you gave ({covered})", "ok")])
        else:
            lines.append([(f"{mark['note']} no head was given: a cut end would not show ({covered})", "note")])
        if checked.uncovered:
            behind = count(checked.uncovered, "event")
            lines.append(
                [(f"{mark['note']} {behind} behind the last checkpoint: no signature covers them yet", "note")]
            )
        if checked.time_back:
            back = count(checked.time_back, "event")
            lines.append([(f"{mark['note']} {back} older than the one before: a clock was set back", "note")])
        if checked.set_back:
            said = count(checked.set_back, "event")
            lines.append([(f"{mark['note']} {said} of the station say that its clock was set back", "note")])
    else:
        found = count(len(checked.findings), "finding")
        lines = [
            [(f"{mark['bad']} THE LOG WAS CHANGED: {found}. Keep the folder as it is; compare the last export", "bad")]
        ]
        lines += [[(f"     {safe(one.file)}:{one.line}: {safe(one.what)}", "bad")] for one in checked.findings[:_SHOWN]]
    shown = checked.head if checked is not None else head.head
    lines.append([("head ", "plain"), (safe(shown) or "none", "plain")])
    return lines


def detail_text(event: Event) -> str:
    """What an event says beside who, what and when: names and values in a line."""
    parts = [f"{name} {_value(value)}" for name, value in sorted(event.detail.items()) if value not in ("", None, [])]
    return safe("; ".join(parts)) or "nothing more"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={_value(one)}" for name, one in value.items())
    return "yes" if value is True else "no" if value is False else str(value)
