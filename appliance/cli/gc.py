"""`lockgate gc`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.context import detach_option, json_option, megabytes, show, station_option, table
from bundles.display import some


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and take nothing away.")
@click.option("--now", is_flag=True, help="Remove for good at once, and empty the graveyard.")
@detach_option
@station_option
@json_option
def gc(root: Path | None, dry_run: bool, now: bool, detach: bool, as_json: bool) -> None:
    """Take away what no repository shows, no quarantine keeps and no build waits for.

    Safe beside pushes and pulls; imports and collects are waited for. A blob that no manifest of its repository names
    stays for a day after it was pushed. What is taken waits in the graveyard for gc_grace_hours (config.toml) before it
    is removed for good; it goes earlier, oldest first, where the disk needs the space.
    """
    from appliance.cli.follow import run_job

    result = run_job(root, "gc", {"dry_run": dry_run, "now": now}, detach=detach)
    show(result, as_json, lambda: result["job"] if detach else _text(result))


def _text(result: dict[str, Any]) -> str:
    verb = "would go" if result["dry_run"] else "taken away"
    lines = [f"{some(result['blobs'], 'blob')} {verb}, {megabytes(result['bytes'])}"]
    if result["links"]:
        lines.append(f"{some(result['links'], 'link')} to blobs that no manifest names {verb}")
    if result["uploads"]:
        lines.append(
            f"{some(result['uploads'], 'leftover of uploads and imports', 'leftovers of uploads and imports')} {verb}"
        )
    if result["kept"]:
        lines.append(
            f"{some(result['kept'], 'blob has lost its row and stays', 'blobs have lost their rows and stay')}, since a"
            " bundle's release or import stands in the audit log; see: lockgate intake check"
        )
    if young := result["waiting"]["blobs"]:
        waits = some(young, "blob that no manifest names waits", "blobs that no manifest names wait")
        lines.append(f"{waits} until {result['waiting']['until']}, a day after the push: a collection then takes them")
    emptied, graveyard = result["emptied"], result["graveyard"]
    if emptied["blobs"]:
        removed = "would be removed" if result["dry_run"] else "removed"
        lines.append(f"{some(emptied['blobs'], 'blob')} {removed} for good, {megabytes(emptied['bytes'])}")
    if graveyard["blobs"]:
        lines.append(
            f"{some(graveyard['blobs'], 'blob waits', 'blobs wait')} in the graveyard,"
            f" {megabytes(graveyard['bytes'])}, the oldest since"
            f" {graveyard['oldest']}"
        )
    if result["dry_run"] and result["named"]:
        lines.append(table([(blob["digest"], blob["size"]) for blob in result["named"]], ("DIGEST", "BYTES")))
        rest = result["blobs"] - len(result["named"])
        if rest:
            lines.append(f"and {rest} more")
    return "\n".join(lines)
