"""`lockgate gc`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.context import detach_option, json_option, megabytes, show, station_option, table


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and take nothing away.")
@detach_option
@station_option
@json_option
def gc(root: Path | None, dry_run: bool, detach: bool, as_json: bool) -> None:
    """Take away what no repository shows, no quarantine keeps and no build waits for.

    Safe beside pushes and pulls; imports and collects are waited for. A blob that no manifest of its repository names
    stays for a day after it was pushed.
    """
    from appliance.cli.follow import run_job

    result = run_job(root, "gc", {"dry_run": dry_run}, detach=detach)
    show(result, as_json, lambda: result["job"] if detach else _text(result))


def _text(result: dict[str, Any]) -> str:
    verb = "would go" if result["dry_run"] else "taken away"
    lines = [f"{result['blobs']} blobs {verb}, {megabytes(result['bytes'])}"]
    if result["links"]:
        lines.append(f"{result['links']} links to blobs that no manifest names {verb}")
    if result["uploads"]:
        lines.append(f"{result['uploads']} leftovers of uploads and imports {verb}")
    if result["dry_run"] and result["named"]:
        lines.append(table([(blob["digest"], blob["size"]) for blob in result["named"]], ("DIGEST", "BYTES")))
        rest = result["blobs"] - len(result["named"])
        if rest:
            lines.append(f"and {rest} more")
    return "\n".join(lines)
