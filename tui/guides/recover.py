"""Recover: everything that is not as it should be, the worst first, each with what to do about it."""

from __future__ import annotations

from bundles.io.display import safe
from tui.guides.steps import GuideFacts, Step
from tui.station.troubles import Trouble
from tui.terminal.texts import count
from tui.wording.troubles import trouble_line


def steps(facts: GuideFacts) -> list[Step]:
    """A step for each trouble; one that says so where there is none."""
    found = [
        Step("bad", f"Health: {safe(check.name)}", safe(check.detail), "home")
        for check in facts.status.health.checks
        if not check.ok
    ]
    found += [
        Step("need", f"{safe(job.kind)} {safe(job.id)}", "waits for a signature", f"job:{job.id}")
        for job in facts.jobs
        if job.state == "to-sign"
    ]
    found += [_trouble(one) for one in facts.troubles]
    for entry in facts.intake:
        if entry.state == "receiving":
            missing = count(len(entry.missing_volumes), "volume") + " still to come: import the next medium"
            found.append(Step("need", safe(entry.id), missing, f"intake:{entry.id}"))
    if not found:
        seen = "no check fails, nothing that was refused, failed or is incomplete is unresolved"
        hidden = "; bundles in quarantine are not for this account to see" if facts.intake_hidden else ""
        return [Step("note" if hidden else "ok", "Nothing to recover", seen + hidden, "home")]
    return found


def _trouble(trouble: Trouble) -> Step:
    job, error = trouble.job, trouble.job.error
    remedy = f"; {safe(error.remedy)}" if error is not None and error.remedy else ""
    text = f"{trouble_line(trouble)}{remedy}. Enter opens it; there d dismisses it once it was looked into"
    often = f", {count(trouble.count, 'time')}" if trouble.count > 1 else ""
    role = "need" if job.state == "incomplete" else "bad"
    return Step(role, f"{safe(job.kind)} {safe(job.state)}{often}", text, f"job:{job.id}")
