"""What clients see of bundles that came in, and no release in the audit log explains: a database edited by hand.

Visibility is a link, and links are rows; whoever writes to the database's file can make one. The audit log cannot be
written along with it, so the check starts there: every bundle whose import the log holds, or a cut of the log kept
(appliance.release_check.log_record), has its signed manifest in a file that is named by digest, and every link to a
digest in it must follow from one event.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from typing import Any, Final

from appliance.paths import StationPaths
from appliance.release_check.explained_links import Explaining
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.log_record import read_log
from appliance.release_check.signed_content import blobs_of, entry_manifest, kept_manifest, signed_manifest
from appliance.station import Station
from appliance.store.errors import EngineError
from appliance.store.reads.explained import Explained
from appliance.store.reads.links import link_rows
from bundles.errors import FailedError
from bundles.io.display import safe, some
from bundles.io.files import failures_named, write_atomic
from bundles.oci.digest import Digest

_LISTED: Final = 1_000
_RECORDS: Final = frozenset({"entry", "kept"})
FOREIGN: Final = "foreign"
"""The kind of a finding about a file of the audit log that holds what the station did not write."""

_FILES: Final = frozenset({"stray", "cut", FOREIGN})
OLDER: Final = "older-than-the-log"
"""The kind of a finding about a link that says it is older than what a prune left of the log, and kept of it."""

DAMAGED: Final = "damaged"
"""The kind of a finding about a released manifest whose bytes cannot be read."""

_NAMED: Final = 10
"""Bundles named in alarms, of those whose record is damaged."""

_BEING_WRITTEN: Final = re.compile(r"\.[0-9a-f]{64}\.(json|cut)\.[0-9]+\.part\Z")


_HELD: Final = "held "
"""The place of all that bundles brought: no repository has a space in its name."""


def unexplained(station: Station) -> list[dict[str, str]]:
    """What nothing explains: {repository, digest, kind, bundle}, a thousand at most.

    Kind `manifest` or `blob` is a link. Every link is asked for, whatever it shows: blobs stand in the store before
    their bundle's import is recorded, and stay where it is refused. `bundle` is one whose import brought the digest; ""
    where the log knows of none. Kind `entry` is a bundle that the log knows and whose
    entry in the database is missing or not what was signed; `kept` one whose signed manifest is not in its file any
    more. Where neither has it, its content cannot be told, and the finding says that it cannot.

    Kind `cut` says that events went and that what was kept of them is missing, changed, or was never kept; `stray` is
    a file among the kept ones that no event and no cut names: it proves nothing.

    Kind `older-than-the-log` is a link to a bundle's content that, by the database, is older than what is known of the
    log: what explained it may have been pruned by an earlier version, or its age may be made up.

    Kind `foreign` is a file of the audit log (`digest` is its name) with lines that the station did not write: they
    explain nothing.

    Kind `damaged` is a released manifest whose bytes cannot be read, so that what it shows is told by nothing else:
    what is left of its bundle's content counts as its own.
    """
    here = _names(station.paths)  # before the log: a file is named by its event before it is written
    log = read_log(station.paths, station.config.site)
    foreign = [{"repository": "", "digest": name, "kind": FOREIGN, "bundle": ""} for name in sorted(log.foreign)]
    found = _files(log, here)
    try:
        with contextlib.closing(Explained()) as explained:
            explaining = Explaining(station, log, explained)
            found += _bundles(station, log, explaining, explained)
            explaining.add_roots()
            links = _links(station, log, explaining, explained, _LISTED - len(found))
    except EngineError as error:
        raise FailedError(
            "what is shown cannot be checked",
            thing=str(error),
            remedy="check the disk, and the room for temporary files",
        ) from None
    _name_holders(station, log, links)
    return (found + links)[: _LISTED - len(foreign)] + foreign[:_LISTED]


def _links(
    station: Station, log: LogRecord, explaining: Explaining, explained: Explained, most: int
) -> list[dict[str, str]]:
    """Links that nothing explains, `most` of them; whose they are is not looked for yet."""
    found: list[dict[str, str]] = []
    for repository, item, kind, created in link_rows(station.reader):
        link = f"{repository}@{item}"
        if len(found) >= most:
            break
        if link in log.links or explaining.is_mounted(link):
            continue
        if explaining.is_damaged(repository, item):
            found.append({"repository": repository, "digest": item, "kind": DAMAGED, "bundle": ""})
        if explaining.holds(repository, item, log.ended.get(link)):
            continue
        # Rows, which somebody can make for a moment, decided what a withdrawal left. It explains what an act before it
        # had explained until that was ended, and nothing that came with the withdrawn release alone.
        if link in log.left and (
            link in log.brought or explaining.was_mounted(link) or explaining.holds(repository, item, None)
        ):
            continue
        said = kind if created >= log.since else OLDER
        if said == OLDER and explained.age(_HELD, item) is None:  # pushed or collected before an earlier version's cut
            continue
        found.append({"repository": repository, "digest": item, "kind": said, "bundle": ""})
    return found


def _names(paths: StationPaths) -> list[str]:
    """The files that are kept beside the database."""
    if not paths.imported.is_dir():
        return []
    with failures_named(paths.imported, "the kept manifests cannot be listed"):
        return sorted(entry.name for entry in os.scandir(paths.imported) if not _BEING_WRITTEN.match(entry.name))


def _files(log: LogRecord, here: list[str]) -> list[dict[str, str]]:
    """What is wrong with the record of what was pruned, and the kept files that nothing names."""
    if log.damaged or log.lost:  # which files are named cannot be told
        return [{"repository": "", "digest": log.damaged, "kind": "cut", "bundle": ""}]
    named = {f"{digest.partition(':')[2]}.json" for digest in log.imported}
    return [
        {"repository": "", "digest": name, "kind": "stray", "bundle": ""}
        for name in here
        if name not in named and name not in log.files
    ]


def _unreleased_first(log: LogRecord) -> list[tuple[str, tuple[str, str]]]:
    """The bundles that came in: what they share is put down to one that nobody released."""
    return sorted(log.imported.items(), key=lambda one: one[0] in log.released)


def _bundles(station: Station, log: LogRecord, explaining: Explaining, explained: Explained) -> list[dict[str, str]]:
    """Bundles whose entry or kept manifest is not intact; what releases show goes to `explaining`. One manifest is in
    memory at a time, and decoded where something is asked of it."""
    found: list[dict[str, str]] = []
    for digest, (name, manifest) in _unreleased_first(log):
        intact = entry_manifest(station.reader, digest) is not None
        raw = kept_manifest(station.paths, digest, manifest)
        if not intact:
            found.append({"repository": "", "digest": digest, "kind": "entry", "bundle": name})
        if manifest and raw is None:
            found.append({"repository": "", "digest": digest, "kind": "kept", "bundle": name})
        if raw is None and intact:
            raw = entry_manifest(station.reader, digest)
        if raw is None:
            continue
        if log.since:
            explained.add(_HELD, blobs_of(raw))
        if digest in log.released:
            explaining.add_release(digest, raw, log.released[digest])
    return found


def _name_holders(station: Station, log: LogRecord, links: list[dict[str, str]]) -> None:
    """Say of each link which bundle brought its digest, where one did."""
    wanted: dict[str, list[dict[str, str]]] = defaultdict(list)
    for link in links:
        wanted[link["digest"]].append(link)
    for digest, (name, manifest) in _unreleased_first(log):
        raw = signed_manifest(station.paths, station.reader, digest, manifest) if wanted else None
        for item in () if raw is None else blobs_of(raw):
            for link in wanted.pop(item, ()):
                link["bundle"] = name


def keep_manifest(paths: StationPaths, digest: Digest, manifest: bytes) -> None:
    """Keep a bundle's signed manifest beside the database, for `unexplained`. Raises FailedError."""
    paths.imported.mkdir(mode=0o700, exist_ok=True)
    write_atomic(paths.imported / f"{digest.hex}.json", manifest, 0o600)


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each bundle of which something is shown that nobody released, or that the database forgot."""
    older = [one for one in found if one["kind"] == OLDER]
    links = [one for one in found if one["kind"] not in _RECORDS | _FILES | {OLDER, DAMAGED}]
    bundles: dict[str, dict[str, Any]] = {}
    for one in links:
        name = one["bundle"] or "content of no bundle that was taken in"
        bundles.setdefault(name, {"count": 0, "first": one["repository"]})["count"] += 1
    lines = [
        f"release: {name} is shown and nobody released it ({some(one['count'], 'link')}, {one['first']}): the"
        f" database was"
        " changed by hand; see: lockgate intake check"
        for name, one in bundles.items()
    ]
    forgotten = sorted({one["bundle"] for one in found if one["kind"] in _RECORDS})
    if older:
        lines.append(
            f"release: {some(len(older), 'link to imported content is', 'links to imported content are')} older"
            f" than the audit log that is left"
            f" ({older[0]['bundle']} first): compare them with the export; see: lockgate intake check"
        )
    cut, strays, foreign = ([one for one in found if one["kind"] == kind] for kind in ("cut", "stray", FOREIGN))
    if foreign:
        lines.append(
            f"record: {some(len(foreign), 'file of the audit log holds', 'files of the audit log hold')} lines"
            f" that the station did not write"
            f" ({safe(foreign[0]['digest'])} first), which explain nothing; see: lockgate audit verify"
        )
    if cut:
        lines.append(
            "record: the audit log's beginning went, and what was kept of it is missing or changed"
            f" ({cut[0]['digest'] or 'nothing was kept'}); see: lockgate audit verify"
        )
    lines += [
        f"record: {safe(one['digest'])} of {safe(one['bundle'])} in {safe(one['repository'])} was released and cannot"
        " be read; see: lockgate scrub"
        for one in [one for one in found if one["kind"] == DAMAGED][:_NAMED]
    ]
    if strays:
        lines.append(
            f"record:"
            f" {some(len(strays), 'file among the kept manifests is', 'files among the kept manifests are')}"
            f" named by no event ({safe(strays[0]['digest'])}"
            " first); see: lockgate intake check"
        )
    return lines + [
        f"record: {name} came in by the audit log, and its entry or kept manifest is missing or changed; see:"
        " lockgate intake check"
        for name in forgotten[:_NAMED]
    ]
