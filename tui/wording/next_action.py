"""What a person should do next, worked out from the station's state: a pure function, so that it can be tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.api.intake import IntakeEntry
from appliance.api.jobs import Job
from appliance.api.status import Status
from bundles.io.display import safe
from tui.station.troubles import Trouble
from tui.terminal.texts import count
from tui.wording.troubles import trouble_line


@dataclass(frozen=True)
class Suggestion:
    """A line of Home: `kind` and `reference` are what `enter` opens."""

    role: str
    text: str
    kind: str
    reference: str = ""
    ids: tuple[str, ...] = ()
    """The jobs of a trouble, which may be dismissed."""


def suggestions(
    status: Status,
    jobs: Sequence[Job],
    intake: Sequence[IntakeEntry],
    changes: int = 0,
    wrong: Sequence[Trouble] = (),
) -> list[Suggestion]:
    """Most urgent first: what waits for a person, what went wrong, what can be begun. `changes` of accounts wait that
    this person may see."""
    found = [
        Suggestion("need", f"Sign: {safe(job.kind)} {safe(job.id)} waits for your signature", "job", job.id)
        for job in jobs
        if job.state == "to-sign"
    ]
    found += [
        Suggestion("need", f"{safe(job.kind)} {safe(job.phase)}", "job", job.id)
        for job in jobs
        if job.state == "waiting"
    ]
    for entry in intake:
        name = safe(entry.id)
        match entry.state:
            case "approved":
                text = f"Release {name}: {entry.approvals} of {entry.needed} approvals are given"
                found.append(Suggestion("need", text, "intake", entry.id))
            case "quarantined":
                text = f"Approve {name}: read its report first, {entry.approvals} of {entry.needed} approvals"
                found.append(Suggestion("need", text, "intake", entry.id))
            case "receiving":
                missing = count(len(entry.missing_volumes), "volume") + " still to come"
                found.append(Suggestion("busy", f"Next medium for {name}: {missing}", "intake", entry.id))
    if changes:
        text = f"Accounts: {count(changes, 'change')} {'waits' if changes == 1 else 'wait'} to be confirmed"
        found.append(Suggestion("need", text, "screen", "accounts"))
    found += [
        Suggestion(
            "bad" if one.job.state != "incomplete" else "need",
            f"{trouble_line(one)} (d dismisses it)",
            "job",
            one.job.id,
            one.ids,
        )
        for one in wrong
    ]
    if not status.health.ok or any(not check.ok for check in status.health.checks):
        found.append(Suggestion("bad", "Recover: a health check fails", "guide", "recover"))
    bring = Suggestion("plain", "Bring in: verify and release what came on a medium", "guide", "bring_in")
    carry = Suggestion("plain", "Carry out: put artifacts on a medium for another site", "guide", "carry_out")
    begin = [bring, carry] if status.side == "inside" else [carry, bring]
    recover = Suggestion("plain", "Recover: something failed, was refused or is missing", "guide", "recover")
    set_up = Suggestion("need", "Set up: people, keys, trust, then the first bundle", "guide", "first_run")
    return [*([set_up] if _is_new(status, jobs, intake) else []), *found, *begin, recover]


def _is_new(status: Status, jobs: Sequence[Job], intake: Sequence[IntakeEntry]) -> bool:
    """Whether nothing was ever stored, carried or begun here."""
    return not (status.store.blobs or status.quarantine or status.last_import or jobs or intake)
