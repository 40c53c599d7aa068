"""Recover: everything that is not as it should be, the worst first, each with what to do about it."""

from __future__ import annotations

from appliance.api.jobs import Job
from bundles.io.display import safe
from tui.guides.steps import GuideFacts, Step
from tui.terminal.texts import count

_BAD = ("failed", "refused", "incomplete")


def steps(facts: GuideFacts) -> list[Step]:
    """A step for each trouble; one that says so where there is none."""
    found = [
        Step("bad", f"Health: {safe(check.name)}", safe(check.detail), "home")
        for check in facts.status.health.checks
        if not check.ok
    ]
    seen: set[str] = set()
    for job in facts.jobs:
        if job.kind in seen:
            continue
        if job.state == "to-sign":
            found.append(Step("need", f"{safe(job.kind)} {safe(job.id)}", "waits for a signature", f"job:{job.id}"))
        elif job.state in _BAD:
            found.append(_trouble(job))
        if job.final:
            seen.add(job.kind)
    for entry in facts.intake:
        if entry.state == "receiving":
            missing = count(len(entry.missing_volumes), "volume") + " still to come: import the next medium"
            found.append(Step("need", safe(entry.id), missing, f"intake:{entry.id}"))
    return found or [Step("ok", "Nothing to recover", "no check fails, no job failed, no bundle is incomplete", "home")]


def _trouble(job: Job) -> Step:
    error = job.error
    text = "its log says more" if error is None else f"{safe(error.what)}: {safe(error.thing)}; {safe(error.remedy)}"
    return Step("bad" if job.state != "incomplete" else "need", f"{safe(job.kind)} {job.state}", text, f"job:{job.id}")
