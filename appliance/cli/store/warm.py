"""`lockgate warm`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.completion import PLATFORM
from appliance.cli.shared.context import detach_option, json_option, megabytes, show, station_option
from bundles.io.display import safe, some


@click.command()
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@click.option(
    "--platform", "platforms", multiple=True, type=PLATFORM, metavar="P",
    help="Of indexes these platforms alone, as linux/amd64 (repeatable).",
)  # fmt: skip
@detach_option
@station_option
@json_option
def warm(
    root: Path | None, references: tuple[str, ...], platforms: tuple[str, ...], detach: bool, as_json: bool
) -> None:
    """Fill caches before clients ask: have everything here that references in caches name.

    REF is a tag or digest below a cache's prefix, as cache/hub/library/alpine:3.20. What is here is not fetched again;
    a tag is asked for upstream, whatever its time. Exit status 0: all of it is here, as it is upstream. 1: none of it.
    4: some of it is not, or stands as it was since the upstream cannot be asked; the job's log says why.

    Ctrl-C cancels the job: it asks for no more, and what is under way comes to its end.
    """
    from appliance.cli.shared.follow import run_job

    result = run_job(
        root, "warm", {"references": list(references), "platforms": list(platforms)}, detach=detach,
        partly=lambda part: show(part, as_json, lambda: _warmed(part)),
    )  # fmt: skip
    show(result, as_json, lambda: str(result["job"]) if detach else _warmed(result))


def _warmed(result: dict[str, Any]) -> str:
    lines = [f"[!!] {one['reference']}: {one['why']}" for one in result["failed"]]
    lines += [f"[!!] {one}: as it was, since the upstream cannot be asked" for one in result["stale"]]
    lines.append(
        f"{some(result['manifests'], 'manifest')} and {some(result['blobs'], 'blob')} of {megabytes(result['bytes'])},"
        f" {result['fetched']} of them fetched now"
    )
    return "\n".join(safe(line) for line in [*lines, *result["references"]])
