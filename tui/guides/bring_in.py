"""Bring in: insert, verify, complete, read the report, approve, release."""

from __future__ import annotations

from bundles.display import safe
from tui.guides.steps import Facts, Step, latest
from tui.station import IntakeEntry, Job
from tui.texts import count, percent, words


def steps(facts: Facts) -> list[Step]:
    """The steps for the newest bundle that is not decided; for the next medium where there is none."""
    running = next((job for job in facts.jobs if job.kind == "import" and not job.final), None)
    last = latest(facts.jobs, "import")
    open_entries = [entry for entry in facts.intake if entry.state in ("receiving", "quarantined", "approved")]
    if running is not None:
        how = f"{safe(running.phase)} {percent(running.done, running.total)}"
        return [
            Step("ok", "Insert the medium", words(str(path) for path in running.params.get("paths", ()))),
            Step("busy", "Verify", how, f"job:{running.id}"),
            *_waiting_steps(),
        ]
    if not open_entries:
        return [_insert(facts, last), Step("wait", "Verify", "signatures, ledger, every byte"), *_waiting_steps()]
    entry = min(open_entries, key=_urgency)
    return _entry_steps(entry)


def _urgency(entry: IntakeEntry) -> tuple[int, int]:
    """Approved before quarantined before receiving; the oldest number first, since streams are released in order."""
    return ("approved", "quarantined", "receiving").index(entry.state), entry.sequence


def _insert(facts: Facts, last: Job | None) -> Step:
    carried = [name for medium in facts.media for name in medium.bundles]
    found = f"found on the media: {words(carried)}" if carried else "put the medium in, or choose a folder"
    if last is not None and last.state in ("refused", "failed") and last.error is not None:
        found = f"the last one was {last.state}: {safe(last.error.what)}; {found}"
    return Step("need", "Insert the medium", found, "bring_in")


def _waiting_steps() -> list[Step]:
    return [
        Step("wait", "Read the report", "what this station itself found"),
        Step("wait", "Approve", "with your key, over the bundle and the report"),
        Step("wait", "Release", "its artifacts become visible, all at once"),
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
    given = f"{entry.approvals} of {entry.needed} approvals"
    return [
        Step("ok", "Insert the medium", f"{name} was read whole", opens),
        Step("ok", "Verify", "signatures, ledger and every byte hold", opens),
        Step("ok" if approved else "need", "Read the report", "enter opens the bundle, o its report", opens),
        Step("ok" if approved else "wait", "Approve", given if approved else f"{given}; a approves, x rejects", opens),
        Step("need" if approved else "wait", "Release", "e releases it: visible to every client", opens),
    ]
