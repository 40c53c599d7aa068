"""What has been checked of a bundle, what is being checked, what failed first, what comes next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from appliance.api.intake import IntakeDetail, IntakeEntry
from appliance.api.jobs import Job
from bundles.errors import LEDGER_CODES
from bundles.io.display import safe
from tui.terminal.texts import count, percent
from tui.wording.account_changes import summary


@dataclass(frozen=True)
class Check:
    """A line of the checklist: `role` of `tui.terminal.look`, what is checked, what was found."""

    role: str
    name: str
    detail: str = ""


STEPS: Final = (
    ("signatures", "SHA256SUMS is signed by the keys that the trust folder names"),
    ("ledger", "for this site, new, and the next of its stream"),
    ("volumes", "every volume and blob is the signed one, byte for byte"),
    ("inspection", "what this station itself finds in the content"),
)
"""What an import goes through, and what each step proves."""

_VOLUMES: Final = "verify and store"
"""The import job's phase in which it reads volumes; before it there is none."""


def of_import(job: Job) -> list[Check]:
    """The checklist of an import job: filled as far as its phase says; the step that refused it bears the reason. What
    could not be done (a full disk, a medium that was taken out) is no check's verdict, and stands below them."""
    place = _place(job)
    checks: list[Check] = []
    for number, (name, proves) in enumerate(STEPS):
        if job.state == "done" or number < place:
            checks.append(Check("ok", name, proves))
        elif number > place or job.state == "queued":
            checks.append(Check("wait", name, proves))
        elif job.state == "cancelled":
            checks.append(Check("wait", name, "cancelled here; what was verified is kept for the next try"))
        elif job.state == "failed":
            checks.append(Check("wait", name, f"not finished: {proves}"))
        elif job.final and job.error is not None:
            role = "need" if job.state == "incomplete" else "bad"
            checks.append(Check(role, name, f"{safe(job.error.what)}: {safe(job.error.thing)}"))
        else:
            checks.append(Check("busy", name, f"{proves} {percent(job.done, job.total)}".rstrip()))
    if job.state == "failed" and job.error is not None:
        checks.append(Check("bad", "stopped by", f"{safe(job.error.what)}: {safe(job.error.thing)}".rstrip(": ")))
    return checks


def _place(job: Job) -> int:
    """The step an import stands at. Before the volumes there is no phase: what was refused says which step it was."""
    if job.phase == _VOLUMES:
        whole = job.total > 0 and job.done >= job.total
        return 3 if whole and job.state == "running" else 2
    if job.phase:
        return 3
    return 1 if job.error is not None and job.error.code in LEDGER_CODES else 0


def of_entry(entry: IntakeDetail) -> list[Check]:
    """The checklist of a bundle in the intake."""
    whole = entry.state != "receiving"
    verified = sum(volume.verified for volume in entry.volumes)
    volumes = f"{verified} of {len(entry.volumes)} verified"
    if entry.missing_volumes:
        volumes += ", still to come: " + ", ".join(f"{index:04d}" for index in entry.missing_volumes[:12])
    found = verdict(entry.report)
    names = ", ".join(safe(approval.owner) for approval in entry.decisions)
    given = f"{entry.approvals} of {entry.needed}" + (f": {names}" if names else "")
    return [
        Check("ok", "signatures", "by the keys that the manifest names, all of them trusted here"),
        Check("ok" if whole else "wait", "ledger", f"number {entry.sequence} of {safe(entry.stream)}"),
        Check("ok" if whole else "need", "volumes", volumes),
        Check(found[0], "inspection", found[1]),
        _approvals(entry, given),
        _release(entry),
        *_accounts(entry),
    ]


def verdict(report: dict[str, Any] | None) -> tuple[str, str]:
    """The report in a line: the worst outcome of its sections, and what those sections say."""
    if report is None:
        return "wait", "when all volumes are verified"
    sections = [one for one in report.get("sections", ()) if isinstance(one, dict)]
    for outcome, role in (("fail", "bad"), ("note", "note")):
        worst = [one for one in sections if one.get("outcome") == outcome]
        if worst:
            return role, "; ".join(
                f"{safe(str(one.get('inspector')))}: {safe(str(one.get('summary')))}" for one in worst
            )
    return "ok", "nothing that speaks against release; o shows the report"


def _approvals(entry: IntakeDetail, given: str) -> Check:
    if entry.state == "rejected":
        return Check("bad", "approval", "rejected")
    if entry.state in ("approved", "released"):
        return Check("ok", "approval", given)
    return Check("need" if entry.state in ("quarantined", "withdrawn") else "wait", "approval", given)


def _release(entry: IntakeDetail) -> Check:
    if entry.state == "released":
        return Check("ok", "release", "its artifacts are shown to clients, but for what is blocked")
    if entry.state == "withdrawn":
        return Check("bad", "release", "withdrawn: what it alone had shown is visible to no client")
    waits = entry.state == "approved"
    return Check("need" if waits else "wait", "release", "not visible to any client")


def _accounts(entry: IntakeDetail) -> list[Check]:
    changes = entry.account_changes
    if not changes:
        return []
    done = any(not one.waits for one in changes)
    return [Check("bad" if done else "need", "accounts", f"{summary(changes)}; o shows them above the report")]


_DECIDED: Final = {
    "released": ("ok", "released: its artifacts are shown, but for what is blocked; nothing is left to do"),
    "withdrawn": ("bad", "withdrawn: a approves it anew, so that it can be released again; x rejects it for good"),
    "rejected": ("bad", "rejected: its content is visible to nobody; ask the sender for a new bundle"),
}


def next_step(entry: IntakeEntry) -> tuple[str, str]:
    """What a person does next with a bundle, as role and sentence."""
    if entry.damaged:
        return "bad", f"its manifest cannot be read: {safe(entry.damaged)}"
    match entry.state:
        case "receiving":
            missing = count(len(entry.missing_volumes), "volume") + " still to come"
            return "need", f"{missing}: insert the next medium and press i"
        case "quarantined":
            return (
                "need",
                f"read the report (o), then a approves or x rejects; {entry.approvals} of {entry.needed} approved",
            )
        case "approved":
            return "need", "e releases it: its artifacts are then shown to clients, but for what is blocked"
        case "released" if entry.standing == "superseded":
            later = f" ({safe(entry.by)})" if entry.by else ""
            return "wait", f"superseded: each of its tags belongs to a later release{later}; nothing is left to do"
        case state:
            return _DECIDED.get(state, ("note", safe(state)))
