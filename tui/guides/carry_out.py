"""Carry out: pick, address, plan, build, sign, write, remove the medium."""

from __future__ import annotations

from bundles.display import safe
from tui.guides.steps import Facts, Step, latest
from tui.station import Job
from tui.texts import count, percent, size


def steps(facts: Facts) -> list[Step]:
    """The steps as they stand. While the form is in use they speak of the form, else of the newest build."""
    draft, build = facts.draft, latest(facts.jobs, "build")
    if draft.references or build is None or (build.final and build.state != "done"):
        return _form_steps(facts) + _build_steps(None)
    done = [Step("ok", "Pick, address, plan", _about(build), "new_bundle")]
    return done + _build_steps(build)


def _about(build: Job) -> str:
    references = build.params.get("references") or ()
    return f"{count(len(references), 'artifact')} for {safe(str(build.params.get('to', '')))}"


def _form_steps(facts: Facts) -> list[Step]:
    draft = facts.draft
    picked = "in Repositories: space picks"
    if draft.references:
        picked = count(len(draft.references), "artifact") + " picked"
    addressed = bool(draft.to and draft.media and draft.keyid)
    address = "choose the destination, the medium and the key that signs"
    if addressed:
        address = f"for {safe(draft.to)}, on {safe(draft.media[0])}, signed with {safe(draft.key)}"
    plan = "volumes and bytes, before anything is written (p)"
    if draft.plan is not None:
        plan = f"{size(draft.plan.bytes)} in {count(len(draft.plan.volumes), 'volume')}"
    return [
        _step(bool(draft.references), True, "Pick artifacts", picked, "repositories"),
        _step(addressed, bool(draft.references), "Address and key", address, "new_bundle"),
        _step(draft.plan is not None, addressed, "Plan", plan, "new_bundle"),
    ]


def _step(done: bool, ready: bool, name: str, text: str, act: str) -> Step:
    return Step("ok" if done else "need" if ready else "wait", name, text, act)


def _build_steps(build: Job | None) -> list[Step]:
    if build is None:
        return [
            Step(
                "wait",
                "Build and sign",
                "b in the new bundle builds, then asks for your signature",
                "new_bundle",
            ),
            Step("wait", "Write and compare", "every volume is written, synced and read back"),
            Step("wait", "Remove the medium", "when it says that it is safe, and not before"),
            Step("wait", "Summary", "what was written and who signed, for your files"),
        ]
    opens = f"job:{build.id}"
    match build.state:
        case "done":
            result = build.result or {}
            missing = result.get("missing_signers")
            sign = "signed" if not missing else f"still to co-sign: {safe(', '.join(str(one) for one in missing))}"
            path = safe(str(result.get("path", "")))
            digest = safe(str(result.get("digest", "")))
            return [
                Step("need" if missing else "ok", "Build and sign", sign, opens),
                Step("ok", "Write and compare", f"{path} reads back as signed, {digest}", opens),
                Step("ok", "Remove the medium", "safe to remove: carry it to the other station", opens),
                Step("need", "Summary", "enter saves it to a file; picking artifacts begins the next bundle", "save"),
            ]
        case "to-sign":
            return [
                Step("need", "Build and sign", "the bundle is laid out and waits for your signature", opens),
                Step("wait", "Write and compare", "every volume is written, synced and read back"),
                Step("wait", "Remove the medium", "not yet: leave it in"),
            ]
        case _:
            how = f"{safe(build.phase)} {percent(build.done, build.total)}"
            return [
                Step("busy", "Build, sign, write, compare", how, opens),
                Step("wait", "Remove the medium", "not yet: leave it in"),
            ]
