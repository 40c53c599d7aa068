"""`lockgate scrub`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.shared.context import detach_option, json_option, megabytes, show, station_option
from appliance.cli.shared.durations import seconds_of
from bundles.errors import FailedError, UsageError
from bundles.io.display import safe, some


@click.command()
@click.option("--budget", metavar="TIME", help="Stop after this time (90s, 30m, 2h) and go on there next time.")
@click.option("--restart", is_flag=True, help="Begin at the first blob, whatever was read before.")
@detach_option
@station_option
@json_option
def scrub(root: Path | None, budget: str | None, restart: bool, detach: bool, as_json: bool) -> None:
    """Check the metadata, read every blob from the disk and withdraw what is damaged, until its bytes come again.

    Goes on where it was stopped. Names the bundles that can restore what is damaged: import one of them again. What
    cannot be read is tried again, reported, and not withdrawn. What the database says of a manifest is compared with
    its bytes, and set right. Exit status 1: something is damaged, was not read, or was set right.
    """
    from appliance.cli.shared.follow import run_job

    params = {"budget": _seconds(budget), "restart": restart}
    result = run_job(root, "scrub", params, detach=detach)
    show(result, as_json, lambda: result["job"] if detach else _text(result))
    if not detach and result["metadata"]["found"]:
        raise FailedError(
            "the metadata is damaged: what it names wrongly is not served, and nothing is deleted",
            thing=safe(result["metadata"]["found"][0]),
            remedy="keep the folder as it is, and put the newest backup back: docs/howto/after-a-restore.md",
        )
    if not detach and result["damaged"]:
        raise FailedError(
            f"{some(len(result['damaged']), 'blob is', 'blobs are')} damaged and withdrawn",
            thing=result["damaged"][0]["digest"],
            remedy="import a bundle that carries them again, or push them again",
        )
    if not detach and result["unread"]:
        raise FailedError(
            f"{some(len(result['unread']), 'blob')} could not be read",
            thing=f"{result['unread'][0]['digest']} ({safe(result['unread'][0]['why'])})",
            remedy="check the disk, then run it again: none of them is withdrawn",
        )

    if not detach and result["described"]:
        raise FailedError(
            f"the database said something else of {some(len(result['described']), 'manifest')} than their bytes",
            thing=result["described"][0]["digest"],
            remedy="it was set right; look for what changed the database: lockgate intake check",
        )


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    seconds = int(text) if text.isascii() and text.isdigit() else seconds_of(text, "90s, 30m or 2h")
    if not seconds:
        raise UsageError("not a time to scrub for", thing=text[:40], remedy="write 90s, 30m or 2h")
    return seconds


def _text(result: dict[str, Any]) -> str:
    end = "the pass is complete" if result["complete"] else "stopped at its time; the next run goes on here"
    lines = [f"{some(result['blobs'], 'blob')} read, {megabytes(result['bytes'])}: {end}"]
    metadata = result["metadata"]
    state = {"ok": "is whole", "damaged": "is DAMAGED"}.get(metadata["state"], "was not checked: give it more time")
    lines.append(f"the metadata {state}")
    lines += [f"[!!] {safe(text)}" for text in metadata["found"]]
    if metadata["unsummed"]:
        lines.append(f"{some(metadata['unsummed'], 'row has', 'rows have')} no checksum: another program wrote them")
    if result["healed"]:
        lines.append(f"{some(result['healed'], 'blob is', 'blobs are')} whole again")
    lines += [f"[!!] {blob['digest']} could not be read ({safe(blob['why'])})" for blob in result["unread"]]
    for one in result["described"]:
        lines.append(f"[!!] {one['digest']}: the database said something else of its {', '.join(one['fields'])}")
    for blob in result["damaged"]:
        lines.append(f"[!!] {blob['digest']} {blob['why']}")
        lines += [f"     shown as {safe(name)}" for name in blob["shown"]]
        lines += [
            f"     restore it from {safe(bundle['id'])}, medium {', '.join(map(str, bundle['media']))},"
            f" volume {', '.join(map(str, bundle['volumes']))}"
            for bundle in blob["bundles"]
        ] or ["     no bundle known here carries it: push it again"]
    return "\n".join(lines)
