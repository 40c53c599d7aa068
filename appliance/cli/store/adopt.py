"""`lockgate repo adopt`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from appliance.cli.shared.context import json_option, show, station_option, station_root
from bundles.errors import UsageError


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("patterns", metavar="[REPO[:TAG]]...", nargs=-1)
@click.option("--as", "as_", default=None, metavar="PREFIX", help="Put this before the name of each repository.")
@click.option("--dry-run", is_flag=True, help="Say what would be adopted, and how many bytes that is.")
@click.option("--detach", is_flag=True, help="Start the job and print its id; do not wait for it.")
@station_option
@json_option
def adopt(
    root: Path | None, folder: Path, patterns: tuple[str, ...], as_: str | None, dry_run: bool, detach: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Bring in what another registry's folder holds: tags, images with every platform, and what is attached to them.

    DIR is the storage folder of docker's registry (distribution; it holds docker/registry/v2), zot's rootDirectory, or
    a hauler store or another OCI image layout. Stop that registry first, or let nobody push. Each file is read once, is
    held against its digest and is written once; nothing there is changed. With REPO[:TAG] only what one of them covers;
    both may be patterns, as team/** or team/*:1.*.

    A tag that fails does not end the others: each is named with its reason, and the exit status is 4. Running it again
    fetches only what is not here. The last lines are the references.
    """
    from appliance.cli.shared.follow import run_job
    from appliance.cli.store.collect import collected_in_words, planned_in_words

    station_root(root)
    sources = sources_of(folder, patterns, as_)
    if dry_run:
        found = run_job(root, "collect", {"sources": sources, "plan": "bytes"})
        show(found, as_json, lambda: planned_in_words(found, None))
        return

    def said(found: dict[str, Any]) -> None:
        show(found, as_json, lambda: collected_in_words(found, None))

    result = run_job(root, "collect", {"sources": sources}, detach=detach, partly=said)
    if detach:
        show(result, as_json, lambda: str(result["job"]))
    else:
        said(result)


def sources_of(folder: Path, patterns: tuple[str, ...], as_: str | None) -> list[dict[str, Any]]:
    """The sources of a collect that adopts a folder. Raises UsageError, MalformedError for what is none."""
    from appliance.permissions import check_pattern
    from bundles.oci.reference import check_repository, check_tag_pattern

    if not folder.is_dir():
        said = "not a folder" if folder.exists() else "no such folder"
        raise UsageError(said, thing=str(folder), remedy="give the folder that the registry stores in")
    path = Path(os.path.normpath(folder.absolute()))
    if as_ is not None:
        check_repository(as_)
    for pattern in patterns:
        repository, colon, tag = pattern.partition(":")
        check_pattern(repository)
        check_tag_pattern(tag if colon else "*")
    if (folder / "oci-layout").is_file():
        if patterns or as_ is not None:
            raise UsageError(
                "the folder is one OCI image layout", thing=str(folder),
                remedy=f"leave REPO and --as out, or name one image of it: lockgate collect oci:{folder}:NAME --as REF",
            )  # fmt: skip
        return [{"kind": "layout", "path": str(path), "name": path.name}]
    entry = {"kind": "registry-folder", "path": str(path), "as": as_}
    return [{**entry, "tag": pattern} for pattern in patterns] or [entry]
