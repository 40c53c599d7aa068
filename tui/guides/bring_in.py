"""Bring in: insert, verify, complete, read the report, approve, release."""

from __future__ import annotations

from typing import Final

from appliance.api.intake import IntakeEntry
from appliance.api.jobs import Job
from bundles.io.display import safe
from tui.guides.steps import GuideFacts, Step, latest
from tui.terminal.texts import count, percent, words

_ORDER: Final = ("approved", "quarantined", "receiving")
"""The most finished first: a release is one key away."""

_DECIDED: Final = {
    "released": "its artifacts are shown to clients, but for what is blocked",
    "rejected": "rejected: nothing of it is visible",
    "withdrawn": "withdrawn: what it alone had shown is not visible",
}


def steps(facts: GuideFacts) -> list[Step]:
    """The steps for the bundle that is on its way in, else for the one that came in last, else for the next medium."""
    running = next((job for job in facts.jobs if job.kind == "import" and not job.final), None)
    if running is not None:
        how = f"{safe(running.phase)} {percent(running.done, running.total)}".strip() or "signatures and ledger"
        return [
            Step("ok", "Insert the medium", words(str(path) for path in running.params.get("paths", ()))),
            Step("busy", "Verify", how, f"job:{running.id}"),
            *_waiting_steps(),
        ]
    undecided = [entry for entry in facts.intake if entry.state in _ORDER]
    if undecided:
        return _entry_steps(min(undecided, key=lambda entry: (_ORDER.index(entry.state), entry.sequence)))
    last = latest(facts.jobs, "import")
    imported = (last.result or {}).get("id") if last is not None else None
    decided = next((entry for entry in facts.intake if entry.id == imported), None)
    if decided is not None:
        return _decided_steps(decided)
    return [_insert(facts, last), Step("wait", "Verify", "signatures, ledger, every byte"), *_waiting_steps()]


def _insert(facts: GuideFacts, last: Job | None) -> Step:
    carried = [name for medium in facts.media for name in medium.bundles]
    found = f"found on the media: {words(carried)}" if carried else "put the medium in, or choose a folder"
    if last is not None and last.state in ("refused", "failed") and last.error is not None:
        found = f"the last one was {last.state}: {safe(last.error.what)}; {found}"
    return Step("need", "Insert the medium", found, "bring_in")


def _waiting_steps() -> list[Step]:
    return [
        Step("wait", "Read the report, approve", "what this station itself found; then your signature"),
        Step("wait", "Release", "its artifacts become visible, all at once"),
        Step("wait", "Summary", "who approved what, for your files"),
    ]


def _entry_steps(entry: IntakeEntry) -> list[Step]:
    opens = f"intake:{entry.id}"
    name = safe(entry.id)
    if entry.state == "receiving":
        missing = count(len(entry.missing_volumes), "volume") + " still to come"
        return [
            Step("need", "Insert the next medium", f"{name}: {missing}", "bring_in"),
            Step("wait", "Verify", "goes on where it was"),
            *_waiting_steps(),
        ]
    approved = entry.state == "approved"
    given = f"{name}: {entry.approvals} of {entry.needed} approvals"
    return [
        Step("ok", "Insert the medium", f"{name} was read whole", opens),
        Step("ok", "Verify", "signatures, ledger and every byte hold", opens),
        Step("ok" if approved else "need", "Read the report, approve",
             given if approved else f"{given}; enter opens it: o report, a approve, x reject", opens),
        Step("need" if approved else "wait", "Release", f"{name}: enter opens it, e releases it", opens),
        Step("wait", "Summary", "who approved what, for your files"),
    ]  # fmt: skip


def _decided_steps(entry: IntakeEntry) -> list[Step]:
    opens = f"intake:{entry.id}"
    released = entry.state == "released"
    word = _DECIDED.get(entry.state, safe(entry.state))
    return [
        Step("ok", "Insert the medium", f"{safe(entry.id)} was read whole", opens),
        Step("ok", "Verify", "signatures, ledger and every byte hold", opens),
        Step("ok" if released else "bad", "Read the report, approve", safe(entry.state), opens),
        Step("ok" if released else "wait", "Release", word, opens),
        Step("need", "Summary", "enter saves it to a file; i imports the next bundle", "save"),
    ]
