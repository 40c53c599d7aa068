"""Released tags that do not point where their release put them.

A tag is a row, and whoever writes to the database's file, or finds a way around the registry's rules, can move one.
Where a released tag must point follows from the audit log (which bundles are released, in which order) and from the
bundles' signed manifests (which tag stands at which digest). Only a release and a withdrawal move a released tag.
"""

from __future__ import annotations

import json
import time
from typing import Final

from appliance.intake.ledger import signed_files
from appliance.intake.log_record import read_log
from appliance.station import Station
from bundles.display import safe
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.sums import MANIFEST, parse

_LISTED: Final = 1_000
_SETTLES: Final = 1.0
"""Seconds after which a finding is looked at again: a release is recorded before its transaction, which may be on its
way."""


def moved_tags(station: Station) -> list[dict[str, str]]:
    """Each released tag that points elsewhere, a thousand at most: {repository, tag, digest, found, kind, bundle}.

    `digest` is where the newest release that still counts put it, `found` where it points now ("" where it is gone),
    `kind` is `tag`. Of releases that were pruned, a cut keeps what is needed (appliance.intake.log_record).
    Raises FailedError where the log cannot be read.
    """
    found = _look(station)
    if found:
        time.sleep(_SETTLES)
        again = _look(station)
        found = [one for one in found if one in again]
    return found[:_LISTED]


def _look(station: Station) -> list[dict[str, str]]:
    withdrawn: set[str] = set()
    tags: dict[tuple[str, str], list[tuple[str, str]]] = {}
    undone: set[tuple[str, str]] = set()
    manifests: dict[str, dict[tuple[str, str], str]] = {}
    for step in read_log(station.paths, station.config.site).steps:  # the newest first
        if not step.released:
            withdrawn.add(step.digest)
            continue
        if step.digest not in manifests:
            manifests[step.digest] = _tags_of(station, step.digest)
        for name, target in manifests[step.digest].items():
            if f"{name[0]}:{name[1]}" not in step.references:
                continue
            if step.digest in withdrawn:
                undone |= {name} - set(tags)  # it came after the newest release that counts
                continue
            tags.setdefault(name, []).append((step.bundle, target))
    found: list[dict[str, str]] = []
    for (repository, tag), releases in sorted(tags.items()):
        bundle, target = releases[0]
        now = station.metadata.tag_target(repository, tag) or ""
        allowed = {target}
        if (repository, tag) in undone:
            # The withdrawal of a later release puts the tag back to an earlier one that counts, or takes it away.
            allowed |= {"", *(one for _, one in releases)}
        if now not in allowed:
            found.append(
                {"repository": repository, "tag": tag, "digest": target, "found": now, "kind": "tag", "bundle": bundle}
            )
    return found


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each tag."""
    return [
        f"release: {safe(one['repository'])}:{safe(one['tag'])} of {safe(one['bundle'])} no longer points where the"
        f" release put it, but {'at ' + one['found'] if one['found'] else 'nowhere'}; see: lockgate intake check"
        for one in found
    ]


def _tags_of(station: Station, digest: str) -> dict[tuple[str, str], str]:
    """Each (repository, tag) of a bundle's signed manifest with its digest; empty where the entry is not what was
    signed, which `unexplained` reports as such."""
    try:
        files = signed_files(station.reader, digest)
        if files is None or str(Digest.of(files.sums)) != digest:
            return {}
        signed = {line.path: line.sha256 for line in parse(files.sums)}
        if signed.get(MANIFEST) != Digest.of(files.manifest).hex:
            return {}
        return {
            (str(artifact["repository"]), str(tag)): str(artifact["digest"])
            for artifact in json.loads(files.manifest)["artifacts"]
            for tag in artifact["tags"]
        }
    except (LockgateError, ValueError, LookupError, TypeError):
        return {}
