"""What has been checked of a bundle, what is being checked, what failed first, what comes next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bundles.display import safe
from tui.station import IntakeDetail, IntakeEntry, Job
from tui.texts import count, percent


@dataclass(frozen=True)
class Check:
    """A line of the checklist: `role` of `tui.look`, what is checked, what was found."""

    role: str
    name: str
    detail: str = ""


IMPORT_STEPS: Final = (
    ("signatures", ("sign", "open", "verify sig"), "SHA256SUMS is signed by the keys that the trust folder names"),
    ("ledger", ("ledger", "stream", "sequence"), "the bundle is for this site, new, and the next of its stream"),
    ("volumes", ("volume", "read", "quarantine", "import", "verify"), "every volume's and blob's bytes are as signed"),
    ("inspection", ("inspect", "report"), "what this station itself finds in the content"),
)
"""The steps of an import, words of the phases that belong to each, and what each proves."""


def of_import(job: Job) -> list[Check]:
    """The checklist of an import job: filled as far as its phase says; the step at which it ended bears the reason."""
    place = _place(job.phase)
    checks: list[Check] = []
    for number, (name, _, proves) in enumerate(IMPORT_STEPS):
        if job.state == "done" or number < place:
            checks.append(Check("ok", name, proves))
        elif number > place or job.state == "queued":
            checks.append(Check("wait", name, proves))
        elif job.state == "cancelled":
            checks.append(Check("wait", name, "cancelled here"))
        elif job.final and job.error is not None:
            role = "need" if job.state == "incomplete" else "bad"
            checks.append(Check(role, name, f"{safe(job.error.what)}: {safe(job.error.thing)}"))
        else:
            checks.append(Check("busy", name, f"{safe(job.phase)} {percent(job.done, job.total)}"))
    return checks


def _place(phase: str) -> int:
    """The step a phase belongs to; the first where the phase says nothing."""
    wanted = phase.lower()
    for number, (_, words, _) in enumerate(IMPORT_STEPS):
        if any(word in wanted for word in words):
            return number
    return 0


def of_entry(entry: IntakeDetail) -> list[Check]:
    """The checklist of a bundle in the intake."""
    whole = entry.state != "receiving"
    verified = sum(volume.verified for volume in entry.volumes)
    volumes = f"{verified} of {len(entry.volumes)} verified"
    if entry.missing_volumes:
        volumes += ", still to come: " + ", ".join(f"{index:04d}" for index in entry.missing_volumes[:12])
    verdict = str((entry.report or {}).get("verdict") or "this station's own report is ready: o shows it")
    names = ", ".join(safe(approval.owner) for approval in entry.approvals)
    given = f"{len(entry.approvals)} of {entry.needed}" + (f": {names}" if names else "")
    return [
        Check("ok", "signatures", "by the keys that the manifest names, all of them trusted here"),
        Check("ok" if whole else "wait", "ledger", f"number {entry.sequence} of {safe(entry.stream)}"),
        Check("ok" if whole else "need", "volumes", volumes),
        Check("ok" if entry.report else "wait", "inspection", safe(verdict) if entry.report else ""),
        _approvals(entry, given),
        _release(entry),
    ]


def _approvals(entry: IntakeDetail, given: str) -> Check:
    if entry.state == "rejected":
        return Check("bad", "approval", "rejected")
    if entry.state in ("approved", "released"):
        return Check("ok", "approval", given)
    return Check("need" if entry.state == "quarantined" else "wait", "approval", given)


def _release(entry: IntakeDetail) -> Check:
    if entry.state == "released":
        return Check("ok", "release", "its artifacts are visible to every client")
    waits = entry.state == "approved"
    return Check("need" if waits else "wait", "release", "not visible to any client")


def next_step(entry: IntakeEntry | IntakeDetail) -> tuple[str, str]:
    """What a person does next with a bundle, as role and sentence."""
    given = entry.approvals if isinstance(entry, IntakeEntry) else len(entry.approvals)
    match entry.state:
        case "receiving":
            missing = count(len(entry.missing_volumes), "volume") + " still to come"
            return "need", f"{missing}: insert the next medium and press i"
        case "quarantined":
            return "need", f"read the report (o), then a approves or x rejects; {given} of {entry.needed} approved"
        case "approved":
            return "need", "e releases it: its artifacts become visible to every client"
        case "released":
            return "ok", "released: its artifacts are visible; nothing is left to do"
        case "rejected":
            return "bad", "rejected: its content is visible to nobody; ask the sender for a new bundle"
        case state:
            return "note", safe(state)
