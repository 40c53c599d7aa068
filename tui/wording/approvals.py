"""What waits for people, as the control API tells it, and in words: whose approval, what it is, what was found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from appliance.api.intake import Effect, Pending, PendingDetail
from appliance.api.states import DECIDABLE
from bundles.io.display import safe
from tui.terminal.texts import count, moment, size, words
from tui.widgets.mark_rows import Marked
from tui.wording.account_changes import marked

ROLES: Final = {"ok": "ok", "note": "note", "fail": "bad"}


def wanted(entry: Pending) -> str:
    """Whose approval is wanted, in a line."""
    if entry.state not in DECIDABLE:
        return f"none: it is {safe(entry.state)}"
    if entry.waits_for == "inspection":
        absent = f": {words(entry.inspectors_missing)} missing" if entry.inspectors_missing else ""
        return f"an inspection first{absent}"
    if entry.waits_for == "release":
        return "none: enough approvals; e releases it"
    missing = max(entry.needed - entry.approvals, 1)
    text = f"{missing} of {count(entry.needed, 'approval')} still needed"
    text += f", not {safe(entry.importer)} (importer)" if entry.importer else ""
    return f"{text}; good for {entry.hours} h"


def facts_of(entry: PendingDetail) -> list[tuple[str, str]]:
    """What the bundle is."""
    paper = [part for part in (entry.purpose, entry.authorisation, entry.classification) if part]
    signers = [f"{one.get('owner', '')} ({one.get('keyid', '')})" for one in entry.signers]
    until = f"; not after {moment(entry.not_after)}" if entry.not_after else ""
    carried = f"{count(entry.artifacts, 'artifact')} ({words(entry.kinds)}), {size(entry.bytes)}"
    return [
        ("bundle", f"from {safe(entry.source)}, {carried}"),
        ("papers", words(paper) if paper else "none"),
        ("signed", words(signers) if signers else "not known"),
        ("came", f"{moment(entry.received)}, brought by {safe(entry.importer) or 'nobody known'}{until}"),
        ("wanted", wanted(entry)),
    ]


def lines_of(entry: PendingDetail, effects: dict[str, Effect]) -> Iterator[Marked]:
    """What the signature of each of one's own keys will do, changes of accounts, who has approved, what was found."""
    decided = entry.state in ("released", "rejected")
    for name, effect in () if decided else effects.items():
        role = "need" if entry.waits_for == "approvals" and effect.adds else "wait"
        sealed = " (sealed: break-glass)" if effect.sealed else ""
        yield Marked(role, f"sign with {safe(name)}{sealed}: {safe(effect.text)}")
    if not effects and not decided:
        yield Marked("wait", "no key of yours is in the station's folder: what it will do shows when you name its file")
    yield from marked(entry.account_changes)
    for one in entry.people:
        until = f", good until {moment(one.not_after)}" if one.not_after else ""
        sealed = " with a sealed key" if one.sealed else ""
        why = "" if one.counts else f"; it does NOT count: {safe(one.why)}"
        yield Marked(
            "ok" if one.counts else "bad", f"{safe(one.owner)} approved {moment(one.created)}{sealed}{until}{why}"
        )
    if not entry.people:
        yield Marked("wait", "nobody has approved it yet")
    for found in entry.found:
        yield Marked(ROLES.get(found.outcome, "bad"), f"{safe(found.inspector)}: {safe(found.summary)}")
    if entry.report_digest:
        yield Marked("note", f"report {safe(entry.report_digest)}; o shows it, and it is signed there")


def found_line(entry: Pending) -> tuple[str, str]:
    """The worst that was found, in a line: role and text."""
    for outcome in ("fail", "note"):
        worst = [one for one in entry.found if one.outcome == outcome]
        if worst:
            said = "; ".join(f"{safe(one.inspector)}: {safe(one.summary)}" for one in worst)
            return ROLES[outcome], said
    return ("ok", "nothing that speaks against it") if entry.found else ("wait", "not inspected yet")
