"""`lockgate gc`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from appliance.cli.shared.context import detach_option, json_option, megabytes, show, station_option, table
from appliance.cli.shared.durations import seconds_of
from bundles.errors import UsageError
from bundles.io.display import safe, some

_ROWS: Final = 20
"""Damaged rows on the terminal; `lockgate scrub --json` lists up to a hundred."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and take nothing away.")
@click.option("--now", is_flag=True, help="Remove for good at once, and empty the graveyard.")
@click.option("--untagged", is_flag=True, help="Take also manifests to which no tag leads.")
@click.option(
    "--older-than", metavar="TIME", help="With --untagged: those without a tag for so long (12h, 30d, 8w; usually 30d)."
)
@click.option("--retired", is_flag=True, help="Take the tags of what is retired, after its date.")
@detach_option
@station_option
@json_option
def gc(
    root: Path | None, dry_run: bool, now: bool, untagged: bool, older_than: str | None, retired: bool, detach: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Take away what no repository shows, no quarantine keeps and no build waits for.

    Safe beside pushes and pulls; imports and collects are waited for. A blob that no manifest of its repository names
    stays for a day after it was pushed. What is taken waits in the graveyard for gc_grace_hours (config.toml) before it
    is removed for good; it goes earlier, oldest first, where the disk needs the space.

    With --untagged also what an overwritten tag left: manifests to which no tag leads, neither itself nor through an
    index or as what refers to it. Nothing goes that lost its tag, or came, within the time of --older-than, nor what is
    released, pinned, blocked or part of a build, or what any of these names. `repo show --untagged` lists them.

    With --retired the tags go of what `repo retire` retired, once its date has come; what they led to then has no tag.
    Tags in repositories that hold released content, and in immutable stages, stay.
    """
    from appliance.cli.shared.follow import run_job

    if older_than is not None and not untagged:
        raise UsageError("--older-than is about what has no tag", thing=older_than[:40], remedy="give --untagged, too")
    params: dict[str, Any] = {"dry_run": dry_run, "now": now}
    if untagged:
        age = None if older_than is None else seconds_of(older_than, "12h, 30d or 8w")
        params |= {"untagged": True, "older_than": age}
    if retired:
        params["retired"] = True
    result = run_job(root, "gc", params, detach=detach)
    show(result, as_json, lambda: result["job"] if detach else _text(result))


def _text(result: dict[str, Any]) -> str:
    verb = "would go" if result["dry_run"] else "taken away"
    lines = [f"{some(result['blobs'], 'blob')} {verb}, {megabytes(result['bytes'])}"]
    if result["untagged"] is not None:
        lines += _untagged(result["untagged"], verb, listed=result["dry_run"])
    if result["retired"] is not None:
        lines += _retired(result["retired"], verb)
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
    lines += _doubtful(result["doubtful"])
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


def _doubtful(found: dict[str, Any]) -> list[str]:
    """What of the metadata is damaged, and what stayed for it."""
    if not found["rows"]:
        return []
    stay = some(found["blobs"], "blob stays", "blobs stay")
    lines = [f"{stay}, since damaged rows may stand for them, and nothing is removed for good meanwhile:"]
    lines += [f"  {safe(text)}" for text in found["rows"][:_ROWS]]
    if rest := len(found["rows"]) - _ROWS:
        lines += [f"  and {rest} more"] * (rest > 0)
    return [*lines, "  push each again, or delete it: docs/howto/keep-the-store-healthy.md"]


def _retired(found: dict[str, Any], verb: str) -> list[str]:
    lines = [f"{some(found['tags'], 'tag')} of what is retired {verb}"]
    lines += [safe(f"  {one['repository']}:{one['tag']} {one['digest']}") for one in found["named"]]
    if rest := found["tags"] - len(found["named"]):
        lines.append(f"  and {some(rest, 'more tag')}")
    return lines + [f"kept: {count} {why}" for why, count in found["kept"].items()]


def _untagged(found: dict[str, Any], verb: str, *, listed: bool) -> list[str]:
    lines = [
        f"{some(found['manifests'], 'manifest')} without a tag {verb}, of"
        f" {some(found['repositories'], 'repository', 'repositories')}"
    ]
    if found["kept"]:
        lines.append("kept: " + ", ".join(f"{count} {why}" for why, count in found["kept"].items()))
    if listed and found["named"]:
        rows = [(one["repository"], one["digest"], one["kind"], one["since"]) for one in found["named"]]
        lines.append(table(rows, ("REPOSITORY", "DIGEST", "KIND", "SINCE")))
        if rest := found["manifests"] - len(rows):
            lines.append(f"and {some(rest, 'more manifest')}")
    return lines
