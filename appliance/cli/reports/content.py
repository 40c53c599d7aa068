"""`lockgate scan REF --content`: what the content rules say, in words and as an exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from appliance.cli.shared.context import show, table
from appliance.cli.shared.follow import run_job
from bundles.errors import FailedError, IncompleteError
from bundles.io.display import safe, some

_FAILING: Final = ("high", "critical")


def scan_content(root: Path | None, reference: str, as_json: bool) -> None:
    """Have the images behind a reference held against the content rules. Raises FailedError where a rule of severity
    high or critical found something, IncompleteError where none did, and a rule did not look."""
    found: dict[str, Any] = run_job(root, "scan", {"references": [reference], "content": True})["content"]
    show(found, as_json, lambda: _text(found))
    bad = [one for one in found["found"] if one["severity"] in _FAILING]
    if bad:
        raise FailedError(
            f"content rules found what should not be there: {', '.join(dict.fromkeys(one['rule'] for one in bad))}",
            thing=reference, remedy="see docs/howto/content-rules.md for each rule",
        )  # fmt: skip
    if found["unlooked"]:
        clean = "nothing of severity high or critical was found" if found["found"] else "nothing was found"
        raise IncompleteError(
            f"{clean}, and {some(len(found['unlooked']), 'look was', 'looks were')} not made",
            thing=reference, remedy="that is not clean: see why above, and look again",
        )  # fmt: skip


def _text(found: dict[str, Any]) -> str:
    lines = [f"{some(found['blobs'], 'blob')} of {some(found['images'], 'image')} held against the content rules"]
    rows = [
        (
            one["severity"], one["rule"], one["path"] or "the whole", one["what"],
            one.get("fingerprint", "-"), one["digest"][:19],
        )
        for one in found["found"]
    ]  # fmt: skip
    if rows:
        lines.append(table(rows, ("SEVERITY", "RULE", "PATH", "WHAT", "FINGERPRINT", "IN")))
    listed = [one["rule"] for one in found["found"]]
    for name, count in found["found_counts"].items():
        if (more := count - listed.count(name)) > 0:
            lines.append(f"and {some(more, 'further finding')} of {name}")
    lines += [
        f"[!!] {one['rule']} did not look {one['digest'][:19]}: {safe(one['reason'])}" for one in found["unlooked"]
    ]
    if not rows and not found["unlooked"]:
        lines.append("nothing found")
    return "\n".join(lines)
