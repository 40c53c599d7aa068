"""What a finished job made, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from appliance.api.jobs import Job
from bundles.io.display import safe
from tui.terminal.texts import count, moment, size, words
from tui.widgets.panel import fact
from tui.widgets.rows import Span
from tui.wording.upkeep_results import collection_lines, has_damage, scrub_lines


def result_lines(job: Job) -> list[list[Span]]:
    """The facts of a job's result, a line each; none before it is done."""
    result = job.result
    if not result:
        about = job.params.get("id") if job.kind in _OF_BUNDLES else None
        return [fact("bundle", safe(str(about)), name_width=7)] if about else []
    upkeep = _UPKEEP.get(job.kind)
    return _made(job.kind, result) if upkeep is None else upkeep(result)


def _made(kind: str, result: Mapping[str, Any]) -> list[list[Span]]:
    lines: list[list[Span]] = []
    place = "file" if kind == "receipt" else "folder"
    for name, key in (("bundle", "id"), (place, "path"), ("digest", "digest")):
        if result.get(key):
            lines.append(fact(name, safe(str(result[key])), name_width=7))
    lines += _carried(result)
    lines += _left(result)
    carried = [_counted(result, "artifacts", "artifact"), _counted(result, "volumes", "volume")]
    if isinstance(result.get("bytes"), int):
        carried.append(size(result["bytes"]))
    if any(carried):
        lines.append(fact("holds", ", ".join(part for part in carried if part), name_width=7))
    if result.get("references"):
        lines.append(fact("made", words(str(one) for one in result["references"]), name_width=7))
    if result.get("signed_by"):
        lines.append(fact("signed", words(str(one) for one in result["signed_by"]), name_width=7))
    if result.get("without_sbom"):
        lines.append(fact("no SBOM", words(str(one) for one in result["without_sbom"]), "need", name_width=7))
    for key in ("not_carried", "left_out"):
        if result.get(key):
            lines.append(fact("lacks", words(str(one) for one in result[key]), "need", name_width=7))
    lines += _not_warm(result)
    if result.get("notes"):
        lines.append(fact("note", words(str(one) for one in result["notes"]), "need", name_width=7))
    if result.get("missing_signers"):
        lines.append(
            fact(
                "wanted",
                f"co-signatures of {words(str(one) for one in result['missing_signers'])}",
                "need",
                name_width=7,
            )
        )
    return lines


def _counted(result: Mapping[str, Any], key: str, noun: str) -> str:
    return count(result[key], noun) if isinstance(result.get(key), int) else ""


def _carried(result: Mapping[str, Any]) -> list[list[Span]]:
    """What a transfer sent, what came by one, and what it lacks. What a diode sent has no place that is known here."""
    lines = [
        fact("sent", safe(str(one.get("path") or one.get("id", ""))), name_width=7)
        for one in result.get("bundles") or ()
    ]
    lines += [fact("came", safe(str(one.get("path", ""))), name_width=7) for one in result.get("delivered") or ()]
    for one in result.get("missing") or ():
        blocks = f"{one.get('missing', 0)} of {count(one.get('blocks', 0), 'block')}"
        lines.append(fact("lacks", safe(f"{one.get('id', '')}: {blocks}, {one.get('code', '')}"), "need", name_width=7))
    return lines


def _not_warm(result: Mapping[str, Any]) -> list[list[Span]]:
    """What a warm-up found as it was, and what it could not bring."""
    lines = [fact("stale", safe(str(one)), "need", name_width=7) for one in result.get("stale") or ()]
    failed = [one for one in result.get("failed") or () if isinstance(one, Mapping) and "reference" in one]
    said = [f"{one['reference']}: {one.get('why', '')}" for one in failed]
    return lines + [fact("lacks", safe(text), "need", name_width=7) for text in said]


def _left(result: Mapping[str, Any]) -> list[list[Span]]:
    """What a build that finished an earlier bundle did not carry, and which bundles are still not on their media."""
    moved = [str(name) for name in result.get("moved") or ()]
    lines = [fact("not in", f"{words(moved)}: changed since; build again to carry it", "need", name_width=7)]
    left = [str(one.get("text", "")) for one in result.get("unfinished") or ()]
    return (lines if moved else []) + [fact("left", safe(text), "need", name_width=7) for text in left]


def on_disk(result: Mapping[str, Any]) -> bool:
    """Whether a bundle went to a folder of the station's disk, which cannot be taken out."""
    return bool(result.get("on_disk"))


_UPKEEP: Final = {"gc": collection_lines, "scrub": scrub_lines}
_OF_BUNDLES: Final = frozenset({"inspect", "recut"})
"""Kinds of jobs whose parameters name a bundle, before there is a result."""


def opens(job: Job | None) -> tuple[str, str]:
    """What `enter` opens from a job: kind and reference; empty where there is nothing."""
    if job is None:
        return "", ""
    result = job.result or {}
    if job.kind == "import" and result.get("id"):
        return "intake", str(result["id"])
    if job.kind == "inspect" and (result.get("id") or job.params.get("id")):
        return "intake", str(result.get("id") or job.params["id"])
    references = result.get("references")
    if references:
        return "tag", str(references[0])
    return "", ""


_AFTER: Final = {
    ("import", "done"): ("need", "enter opens the bundle: read its report, then approve it"),
    ("inspect", "done"): ("need", "enter opens the bundle: read its new report, then approve it"),
    ("import", "incomplete"): ("need", "insert the next medium and import again: it continues where it was"),
}


def after_job(job: Job) -> tuple[str, str]:
    """What a person does when they have read how a job stands, as role and sentence."""
    result = job.result or {}
    if job.state == "to-sign":
        return "need", "it waits for a signature: n signs it here"
    if (job.kind, job.state) == ("build", "done"):
        return _after_build(result)
    if job.dismissed is not None:
        return "note", f"dismissed by {safe(job.dismissed.by)} at {moment(job.dismissed.at)}"
    if (job.kind, job.state) == ("scrub", "done") and has_damage(result):
        return "bad", "content is damaged: push it again, or restore it; lockgate scrub names its bundle and medium"
    if job.state in ("failed", "refused", "cancelled"):
        again = "note", "nothing of it is visible; begin it again when the cause is gone"
        return _after_import(job) if job.kind == "import" else again
    return _AFTER.get((job.kind, job.state), ("plain", ""))


def _after_import(job: Job) -> tuple[str, str]:
    """What an import that ended badly left behind: volumes that were verified before it ended stay for the next try."""
    whole = [part for part in job.parts if part.state == "verified"]
    if whole:
        were, is_ = ("was", "is") if len(whole) == 1 else ("were", "are")
        kept = f"{count(len(whole), 'volume')} {were} verified and {is_} kept"
    elif job.phase and not job.parts:
        kept = "what was verified before it ended is kept"
    else:
        kept = "nothing of it was taken in"
    if job.state == "refused":
        return "bad", f"{kept}; s saves this page for the sender"
    return "note", f"{kept}; import it again when the cause is gone"


def _after_build(result: Mapping[str, Any]) -> tuple[str, str]:
    if result.get("nothing"):
        return "note", safe(str(result["nothing"]))
    where = [str(one) for one in result.get("media") or [result.get("path", "")]]
    media, were = words(where), "was" if len(where) == 1 else "were"
    if result.get("missing_signers"):
        return "need", "written and compared; before it is imported, o co-signs it"
    if on_disk(result):
        return "note", f"{media} {were} synced and read back as signed: a folder of this disk, not a medium"
    return "ok", f"safe to remove: {media} {were} synced and read back as signed"
