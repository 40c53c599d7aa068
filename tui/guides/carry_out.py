"""Carry out: pick, address, plan, build, sign, write, remove the medium."""

from __future__ import annotations

from typing import Any, Final

from appliance.api.jobs import Job
from bundles.io.display import safe
from tui.guides.steps import GuideFacts, Step, latest
from tui.terminal.texts import count, percent, size
from tui.wording.job_results import on_disk

_WRITTEN: Final = "every volume is written, synced and read back"
_SUMMARY: Final = "what was written and who signed, for your files"
_WRITING: Final = ("write", "compare")
"""The phases of a build after its signature."""


def steps(facts: GuideFacts) -> list[Step]:
    """The steps as they stand. While the form is in use they speak of the form, else of the newest build."""
    draft, build = facts.draft, latest(facts.jobs, "build")
    if draft.wanted or build is None or (build.final and build.state != "done"):
        return _form_steps(facts) + _to_build(draft.plan is not None)
    return _ordered(build) + _build_steps(build)


def _ordered(build: Job) -> list[Step]:
    """The form's steps, as the build that came of them says."""
    params, result = build.params, build.result or {}
    references = params.get("references") or ()
    media = ", then ".join(safe(str(path)) for path in params.get("out") or ())
    held = f"{size(build.total)} laid out"
    if isinstance(result.get("bytes"), int) and isinstance(result.get("volumes"), int):
        held = f"{size(result['bytes'])} in {count(result['volumes'], 'volume')}"
    return [
        Step("ok", "Pick artifacts", f"{len(references)} picked", "new_bundle"),
        Step("ok", "Address and key", f"for {safe(str(params.get('to', '')))}, on {media}", "new_bundle"),
        Step("ok", "Plan", held, "new_bundle"),
    ]


def _form_steps(facts: GuideFacts) -> list[Step]:
    draft = facts.draft
    picked = "in Repositories: space picks"
    if draft.wanted:
        picked = "patterns are chosen" if draft.is_open else f"{len(draft.references)} picked"
    addressed = bool(draft.to and draft.media and draft.keyid)
    address = "choose the destination, the medium and the key that signs"
    if addressed:
        address = f"for {safe(draft.to)}, on {safe(draft.media[0])}, signed with {safe(draft.key)}"
    plan = "volumes and bytes, before anything is written (p)"
    if draft.plan is not None:
        plan = f"{size(draft.plan.bytes)} in {count(len(draft.plan.volumes), 'volume')}"
    return [
        _step(bool(draft.wanted), True, "Pick artifacts", picked, "repositories",
              "" if draft.wanted else "by names or patterns, in the new bundle's form"),
        _step(addressed, bool(draft.wanted), "Address and key", address, "new_bundle"),
        _step(draft.plan is not None, addressed, "Plan", plan, "new_bundle"),
    ]  # fmt: skip


def _step(done: bool, ready: bool, name: str, text: str, act: str, in_lines: str = "") -> Step:
    return Step("ok" if done else "need" if ready else "wait", name, text, act, in_lines)


def _to_build(planned: bool) -> list[Step]:
    begins = "b in the new bundle builds, then asks for your signature"
    return [
        Step("need" if planned else "wait", "Build and sign", begins, "new_bundle"),
        Step("wait", "Write and compare", _WRITTEN),
        Step("wait", "Remove the medium", "when it says that it is safe, and not before"),
        Step("wait", "Summary", _SUMMARY),
    ]


def _build_steps(build: Job) -> list[Step]:
    opens = f"job:{build.id}"
    if build.state == "done":
        return _done_steps(build.result or {}, opens)
    how = f"{safe(build.phase)} {percent(build.done, build.total)}"
    writing = build.state == "running" and build.phase in _WRITING
    if writing:
        first = [Step("ok", "Build and sign", "signed", opens), Step("busy", "Write and compare", how, opens)]
    elif build.state == "to-sign":
        waits = "the bundle is laid out and waits for your signature"
        first = [Step("need", "Build and sign", waits, opens), Step("wait", "Write and compare", _WRITTEN)]
    else:
        first = [Step("busy", "Build and sign", how, opens), Step("wait", "Write and compare", _WRITTEN)]
    return [
        *first,
        Step("wait", "Remove the medium", "not yet: leave it in"),
        Step("wait", "Summary", _SUMMARY),
    ]


def _done_steps(result: dict[str, Any], opens: str) -> list[Step]:
    missing = result.get("missing_signers")
    sign = "signed" if not missing else f"still to co-sign: {safe(', '.join(str(one) for one in missing))}"
    path, digest = safe(str(result.get("path", ""))), safe(str(result.get("digest", "")))
    return [
        Step("need" if missing else "ok", "Build and sign", sign, opens),
        Step("ok", "Write and compare", f"{path} reads back as signed, {digest}", opens),
        Step("wait", "Remove the medium", "when the co-signature is on it too")
        if missing
        else Step("ok", "Remove the medium", "a folder of this disk: copy it to a medium, or burn it", opens)
        if on_disk(result)
        else Step("ok", "Remove the medium", "safe to remove: carry it to the other station", opens),
        Step("need", "Summary", "enter saves it to a file; picking artifacts begins the next bundle", "save"),
    ]
