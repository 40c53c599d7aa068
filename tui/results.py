"""What a finished job made, in words."""

from __future__ import annotations

from typing import Any

from bundles.display import safe
from tui.station import Job
from tui.texts import count, size, words
from tui.widgets.panel import fact
from tui.widgets.rows import Span


def result_lines(job: Job) -> list[list[Span]]:
    """The facts of a job's result, a line each; none before it is done."""
    result = job.result
    if not result:
        return []
    lines: list[list[Span]] = []
    for name, key in (("bundle", "id"), ("folder", "path"), ("digest", "digest"), ("state", "state")):
        if result.get(key):
            lines.append(fact(name, safe(str(result[key]))))
    carried = [_counted(result, "artifacts", "artifact"), _counted(result, "volumes", "volume")]
    if isinstance(result.get("bytes"), int):
        carried.append(size(result["bytes"]))
    if any(carried):
        lines.append(fact("carries", ", ".join(part for part in carried if part)))
    if result.get("references"):
        lines.append(fact("artifacts", words(str(one) for one in result["references"])))
    if result.get("signed_by"):
        lines.append(fact("signed by", words(str(one) for one in result["signed_by"])))
    if result.get("missing_signers"):
        lines.append(fact("must co-sign", words(str(one) for one in result["missing_signers"]), "need"))
    return lines


def _counted(result: dict[str, Any], key: str, noun: str) -> str:
    return count(result[key], noun) if isinstance(result.get(key), int) else ""
