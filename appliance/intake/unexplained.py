"""What clients see of bundles that came in, and no release in the audit log explains: a database edited by hand.

Visibility is a link, and links are rows; whoever writes to the database's file can make one. The audit log cannot be
written along with it, so the check starts there: every bundle whose import the log holds, or a cut of the log kept
(appliance.intake.log_record), has its signed manifest in a file that is named by digest, and every link to a digest in
it must follow from one event.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from appliance.intake.log_facts import Aged, LogRecord, Shown, add_aged
from appliance.intake.log_record import read_log
from appliance.intake.replay import read_manifest
from appliance.intake.signed import entry_manifest, kept_manifest
from appliance.paths import StationPaths
from appliance.station import Station
from appliance.store.links import claimed_blobs
from bundles.display import safe
from bundles.files import failures_named, write_atomic
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES

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


@dataclass(frozen=True, slots=True)
class _Content:
    """What a signed manifest names: the digests that it carries, those that it stands on besides, and its artifacts as
    (repository, digest, tags)."""

    blobs: frozenset[str]
    required: frozenset[str]
    artifacts: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def repositories(self) -> set[str]:
        return {repository for repository, _, _ in self.artifacts}


@dataclass(slots=True)
class _Releases:
    """What the standing releases show of each repository: `roots`, manifests from which all that is shown is reached,
    and `whole`, bundles that are shown there as a whole, with the age of that; `parts` bundles of which a part is."""

    roots: dict[str, Aged] = field(default_factory=lambda: defaultdict(dict))
    whole: dict[str, list[tuple[int, _Content]]] = field(default_factory=lambda: defaultdict(list))
    parts: dict[str, list[tuple[str, _Content]]] = field(default_factory=lambda: defaultdict(list))


def unexplained(station: Station) -> list[dict[str, str]]:
    """What nothing explains: {repository, digest, kind, bundle}, a thousand at most.

    Kind `manifest` or `blob` is a link. Every link is asked for, whatever it shows: blobs stand in the store before
    their bundle's import is recorded, and stay where it is refused. `bundle` is one whose import brought the digest; ""
    where the log knows of none. Kind `entry` is a bundle that the log knows and whose
    entry in the database is missing or not what was signed; `kept` one whose signed manifest is not in its file any
    more. Where neither has it, its content cannot be told, and the finding says that it cannot.

    Kind `cut` says that events went and that what was kept of them is missing, changed, or was never kept; `stray` is
    a file among the kept ones that no event and no cut names: it proves nothing.

    Kind `foreign` is a file of the audit log (`digest` is its name) with lines that the station did not write: they
    explain nothing.

    Kind `older-than-the-log` is a link to a bundle's content that, by the database, is older than what is known of the
    log: what explained it may have been pruned by an earlier version, or its age may be made up.

    Kind `damaged` is a released manifest whose bytes cannot be read, so that what it shows is told by nothing else:
    what is left of its bundle's content counts as its own.
    """
    here = _names(station.paths)  # before the log: a file is named by its event before it is written
    log = read_log(station.paths, station.config.site)
    foreign = [{"repository": "", "digest": name, "kind": FOREIGN, "bundle": ""} for name in sorted(log.foreign)]
    found = _files(log, here)
    holders, releases = _bundles(station, log, found)
    rows = station.reader.execute(
        "SELECT r.name, l.digest, l.kind, l.created FROM links l JOIN repositories r ON r.id = l.repository_id"
    )
    mounts = _Mounts(station, log)
    explained: dict[str, _Explained] = {}
    for repository, item, kind, created in rows:
        if f"{repository}@{item}" in log.links or mounts.explain(f"{repository}@{item}"):
            continue
        if repository not in explained:
            explained[repository] = _explained(station, repository, log, releases)
        if item in explained[repository].damaged:
            found.append({"repository": repository, "digest": item, "kind": DAMAGED, "bundle": holders.get(item, "")})
        if not explained[repository].holds(item, log.ended.get(f"{repository}@{item}")):
            said = kind if created >= log.since else OLDER
            if said == OLDER and item not in holders:  # pushed or collected before an earlier version cut the log
                continue
            found.append({"repository": repository, "digest": item, "kind": said, "bundle": holders.get(item, "")})
        if len(found) >= _LISTED:
            break
    return found[: _LISTED - len(foreign)] + foreign[:_LISTED]


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


def _bundles(station: Station, log: LogRecord, found: list[dict[str, str]]) -> tuple[dict[str, str], _Releases]:
    """A bundle that holds each digest (one that is not released, where there is one), and what releases show; bundles
    whose entry or kept manifest is not intact are added to `found`."""
    holders: dict[str, str] = {}
    releases = _Releases()
    unreleased_first = sorted(log.imported.items(), key=lambda one: one[0] in log.released)
    for digest, (name, manifest) in unreleased_first:  # what bundles share is put down to one that nobody released
        kept = _read(kept_manifest(station.paths, digest, manifest))
        entry = _read(entry_manifest(station.reader, digest))
        if entry is None:
            found.append({"repository": "", "digest": digest, "kind": "entry", "bundle": name})
        if manifest and kept is None:
            found.append({"repository": "", "digest": digest, "kind": "kept", "bundle": name})
        content = kept or entry
        if content is None:
            continue
        for item in content.blobs:
            holders.setdefault(item, name)
        if digest in log.released:
            _add(station, releases, digest, content, log.released[digest])
    return holders, releases


def _add(station: Station, releases: _Releases, bundle: str, content: _Content, shown: Shown) -> None:
    """Add what the releases of one bundle show."""
    for repository, digest, tags in content.artifacts:
        names = (f"{repository}@{digest}", *(f"{repository}:{tag}" for tag in tags))
        ages = (
            shown.everything, shown.artifacts.get(repository, {}).get(digest), *map(shown.references.get, names),
        )  # fmt: skip
        for age in ages:
            if age is not None:
                add_aged(releases.roots[repository], {digest: age})
    if shown.everything is not None:
        for repository in content.repositories:
            releases.whole[repository].append((shown.everything, content))
        return
    for repository in content.repositories:
        releases.parts[repository].append((bundle, content))
    if shown.references:  # an event of an earlier version, which does not name what refers to an artifact
        _add_referrers(station, releases, content)


def _add_referrers(station: Station, releases: _Releases, content: _Content) -> None:
    subjects = []
    for repository, digest, _ in content.artifacts:
        manifest = read_manifest(station.blobs, digest)
        if manifest is not None and manifest.subject is not None:
            subjects.append((repository, digest, str(manifest.subject.digest)))
    size = -1
    reached: dict[str, int] = {}
    while size != len(reached):
        size = len(reached)
        for repository in content.repositories:
            found, _ = _closure(station, releases.roots[repository])
            add_aged(reached, {f"{repository}@{one}": age for one, age in found.items()})
        for repository, digest, subject in subjects:
            age = reached.get(f"{repository}@{subject}")
            if age is not None:
                add_aged(releases.roots[repository], {digest: age})
                add_aged(reached, {f"{repository}@{digest}": age})


class _Mounts:
    """Links that were mounted from another repository's: explained where that one was let in, at some time. A source's
    link that somebody makes by hand for a moment explains none."""

    def __init__(self, station: Station, log: LogRecord) -> None:
        self._station, self._log = station, log

    def explain(self, thing: str) -> bool:
        """Whether a link was mounted, and its source was shown by a release or a collect."""
        source = self._log.mounted.get(thing)
        return source is not None and source.rpartition("@")[2] in self._shown.get(source.rpartition("@")[0], ())

    @cached_property
    def _shown(self) -> dict[str, set[str]]:
        """What bundles that were ever released, and collects, brought to each repository that was mounted from."""
        found: dict[str, set[str]] = {source.rpartition("@")[0]: set() for source in self._log.mounted.values()}
        for digest in self._log.ever:
            _, manifest = self._log.imported.get(digest, ("", ""))
            content = _read(
                kept_manifest(self._station.paths, digest, manifest) or entry_manifest(self._station.reader, digest)
            )
            if content is not None:
                for repository in found.keys() & content.repositories:
                    found[repository] |= content.blobs | content.required
        for repository in found:
            found[repository] |= _closure(self._station, self._log.roots.get(repository, {}))[0].keys()
        return found


@dataclass(frozen=True, slots=True)
class _Explained:
    """Every digest that events explain in a repository, with the age of the newest that does; and the manifests whose
    bytes cannot be read, so that what they name is not known."""

    ages: Aged
    damaged: frozenset[str]

    def holds(self, digest: str, ended: int | None) -> bool:
        """Whether an event explains it that came after it was taken away, `ended` acts ago (None: never)."""
        age = self.ages.get(digest)
        return age is not None and (ended is None or age < ended)


def _explained(station: Station, repository: str, log: LogRecord, releases: _Releases) -> _Explained:
    ages: Aged = {}
    whole = releases.whole.get(repository, [])
    for age, content in whole:
        if len(content.repositories) == 1:
            add_aged(ages, dict.fromkeys(content.blobs | content.required, age))
    roots: Aged = {}
    for one in (log.roots.get(repository, {}), releases.roots.get(repository, {})):
        add_aged(roots, {digest: age for digest, age in one.items() if ages.get(digest, age + 1) > age})
    further, unread = _closure(station, roots)
    add_aged(ages, further)
    for age, content in whole:
        # A manifest that is damaged or gone tells nothing; everything of the bundle was released, so that much is said.
        if any(digest in unread for name, digest, _ in content.artifacts if name == repository):
            add_aged(ages, dict.fromkeys(content.blobs | content.required, age))
    damaged: set[str] = set()
    for bundle, content in releases.parts.get(repository, []):
        lost = {
            digest for name, digest, _ in content.artifacts if name == repository and digest in unread & roots.keys()
        }
        if lost:
            others, _ = _closure(station, {digest: 0 for _, digest, _ in content.artifacts if digest not in lost})
            every = content.blobs | content.required
            # Of blobs that it shares with others only rows tell; the finding about it stands, whatever they say.
            rest = (every - others.keys()) | (every & claimed_blobs(station.reader, bundle, repository))
            add_aged(ages, dict.fromkeys(rest, min(roots[digest] for digest in lost)))
            damaged |= lost
    return _Explained(ages, frozenset(damaged))


def keep_manifest(paths: StationPaths, digest: Digest, manifest: bytes) -> None:
    """Keep a bundle's signed manifest beside the database, for `unexplained`. Raises FailedError."""
    paths.imported.mkdir(mode=0o700, exist_ok=True)
    write_atomic(paths.imported / f"{digest.hex}.json", manifest, 0o600)


def _read(raw: bytes | None) -> _Content | None:
    return None if raw is None else _content(raw)


def _content(manifest: bytes) -> _Content | None:
    try:
        fields = json.loads(manifest)
        return _Content(
            frozenset(str(blob["digest"]) for blob in fields["blobs"]),
            frozenset(str(blob["digest"]) for blob in fields["requires"]),
            tuple(
                (str(one["repository"]), str(one["digest"]), tuple(map(str, one["tags"])))
                for one in fields["artifacts"]
            ),
        )
    except (ValueError, LookupError, TypeError):
        return None


def _closure(station: Station, roots: Aged) -> tuple[Aged, set[str]]:
    """Every digest that the roots reach, by the bytes of the manifests themselves, with the age of the newest root that
    reaches it; and those of them that could not be read as a manifest."""
    reached: Aged = {}
    unread: set[str] = set()
    walked: set[str] = set()
    for age, root in sorted((age, digest) for digest, age in roots.items()):  # what is reached first is the newest
        todo = [root]
        while todo:
            item = todo.pop()
            reached.setdefault(item, age)
            if item in walked:
                continue
            walked.add(item)
            manifest = read_manifest(station.blobs, item)
            if manifest is None:  # a blob, or a manifest that went: it reaches nothing
                unread.add(item)
                continue
            for blob in manifest.blobs:
                reached.setdefault(str(blob.digest), age)
            for child in manifest.manifests:
                digest = str(child.digest)
                todo.append(digest) if child.media_type in MANIFEST_TYPES else reached.setdefault(digest, age)
    return reached, unread


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each bundle of which something is shown that nobody released, or that the database forgot."""
    older = [one for one in found if one["kind"] == OLDER]
    links = [one for one in found if one["kind"] not in _RECORDS | _FILES | {OLDER, DAMAGED}]
    bundles: dict[str, dict[str, Any]] = {}
    for one in links:
        name = one["bundle"] or "content of no bundle that was taken in"
        bundles.setdefault(name, {"count": 0, "first": one["repository"]})["count"] += 1
    lines = [
        f"release: {name} is shown and nobody released it ({one['count']} links, {one['first']}): the database was"
        " changed by hand; see: lockgate intake check"
        for name, one in bundles.items()
    ]
    forgotten = sorted({one["bundle"] for one in found if one["kind"] in _RECORDS})
    if older:
        lines.append(
            f"release: {len(older)} links to imported content are older than the audit log that is left"
            f" ({older[0]['bundle']} first): compare them with the export; see: lockgate intake check"
        )
    cut, strays, foreign = ([one for one in found if one["kind"] == kind] for kind in ("cut", "stray", FOREIGN))
    if foreign:
        lines.append(
            f"record: {len(foreign)} files of the audit log hold lines that the station did not write"
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
            f"record: {len(strays)} files among the kept manifests are named by no event ({safe(strays[0]['digest'])}"
            " first); see: lockgate intake check"
        )
    return lines + [
        f"record: {name} came in by the audit log, and its entry or kept manifest is missing or changed; see:"
        " lockgate intake check"
        for name in forgotten[:_NAMED]
    ]
