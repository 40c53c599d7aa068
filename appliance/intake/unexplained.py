"""What clients see of bundles that came in, and no release in the audit log explains: a database edited by hand.

Visibility is a link, and links are rows; whoever writes to the database's file can make one. The audit log cannot be
written along with it, so the check starts there: every bundle whose import the log holds has its signed manifest in a
file that the import's event names by digest, and every link to a digest in it must follow from one event.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.intake.ledger import signed_files
from appliance.observe.acts import Act, Explains, explains, mark, read_act
from appliance.observe.audit import begins, is_pruned, newest
from appliance.paths import StationPaths
from appliance.station import Station
from bundles import limits
from bundles.errors import LockgateError
from bundles.files import read_small, write_atomic
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, parse_manifest
from bundles.sums import MANIFEST, parse

_LISTED: Final = 1_000
_RECORDS: Final = frozenset({"entry", "kept"})
OLDER: Final = "older-than-the-log"
"""The kind of a finding about a link that says it is older than what a prune left of the log."""

_NAMED: Final = 10
"""Bundles named in alarms, of those whose record is damaged."""


@dataclass(slots=True)
class _Log:
    """What the audit log says: bundles (by digest) that are released now, links that were made one by one, what else
    the station itself put into each repository (roots, by digest), and every bundle that came in: its id, and the
    digest of its manifest ("" where an older program did not record that)."""

    released: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    roots: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Content:
    """What a signed manifest names: the digests that it carries, those that it stands on besides, and the repositories
    that they are for."""

    blobs: frozenset[str]
    required: frozenset[str]
    repositories: frozenset[str]


def unexplained(station: Station) -> list[dict[str, str]]:
    """What nothing explains: {repository, digest, kind, bundle}, a thousand at most.

    Kind `manifest` or `blob` is a link to a bundle's content. Kind `entry` is a bundle that the log knows and whose
    entry in the database is missing or not what was signed; `kept` one whose signed manifest is not in its file any
    more. Where neither has it, its content cannot be told, and the finding says that it cannot.

    Kind `older-than-the-log` is such a link that, by the database, is older than what a prune left of the log: what
    explained it may have been pruned, or its age may be made up. It is never passed over.

    Of bundles whose import is no longer in the log (it was exported and pruned) nothing can be said.
    """
    log = _read(station)
    folder = station.paths.audit
    since = begins(folder) if is_pruned(folder) else ""
    holders, shown, found = _bundles(station, log)
    rows = station.reader.execute(
        "SELECT r.name, l.digest, l.kind, l.created FROM links l JOIN repositories r ON r.id = l.repository_id"
    )
    closures: dict[str, set[str]] = {}
    for repository, item, kind, created in rows:
        if item not in holders or repository in shown.get(item, ()) or f"{repository}@{item}" in log.links:
            continue
        if repository not in closures:
            closures[repository] = _closure(station, log.roots.get(repository, set()))
        if item not in closures[repository]:
            said = kind if created >= since else OLDER
            found.append({"repository": repository, "digest": item, "kind": said, "bundle": holders[item]})
        if len(found) >= _LISTED:
            break
    return found[:_LISTED]


def _bundles(station: Station, log: _Log) -> tuple[dict[str, str], dict[str, set[str]], list[dict[str, str]]]:
    """A bundle that holds each digest (one that is not released, where there is one), the repositories in which a
    release shows it, and the bundles whose entry or kept manifest is not intact."""
    holders: dict[str, str] = {}
    shown: dict[str, set[str]] = defaultdict(set)
    found: list[dict[str, str]] = []
    unreleased_first = sorted(log.imported.items(), key=lambda one: one[0] in log.released)
    for digest, (name, manifest) in unreleased_first:  # what bundles share is put down to one that nobody released
        kept, entry = _kept(station.paths, digest, manifest), _entry(station, digest)
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
            for item in content.blobs | content.required:
                shown[item] |= content.repositories
    return holders, shown, found


def keep_manifest(paths: StationPaths, digest: Digest, manifest: bytes) -> None:
    """Keep a bundle's signed manifest beside the database, for `unexplained`. Raises FailedError."""
    paths.imported.mkdir(mode=0o700, exist_ok=True)
    write_atomic(paths.imported / f"{digest.hex}.json", manifest, 0o600)


def _kept(paths: StationPaths, digest: str, manifest: str) -> _Content | None:
    """What the kept manifest names; None where it is not the one that the log names."""
    if not manifest:
        return None
    try:
        raw = read_small(paths.imported / f"{Digest.parse(digest).hex}.json", limits.BUNDLE_MANIFEST)
    except (LockgateError, OSError):
        return None
    return _content(raw) if str(Digest.of(raw)) == manifest else None


def _entry(station: Station, digest: str) -> _Content | None:
    """What the bundle's entry names; None where it is missing, or not what was signed."""
    row = station.reader.execute("SELECT 1 FROM intake WHERE digest = ?", (digest,)).fetchone()
    try:
        files = signed_files(station.reader, digest) if row is not None else None
        if files is None or str(Digest.of(files.sums)) != digest:
            return None
        signed = {line.path: line.sha256 for line in parse(files.sums)}
        return _content(files.manifest) if signed.get(MANIFEST) == Digest.of(files.manifest).hex else None
    except (LockgateError, ValueError, TypeError):
        return None


def _content(manifest: bytes) -> _Content | None:
    try:
        fields = json.loads(manifest)
        return _Content(
            frozenset(str(blob["digest"]) for blob in fields["blobs"]),
            frozenset(str(blob["digest"]) for blob in fields["requires"]),
            frozenset(str(artifact["repository"]) for artifact in fields["artifacts"]),
        )
    except (ValueError, LookupError, TypeError):
        return None


def _closure(station: Station, roots: set[str]) -> set[str]:
    """Every digest that the roots reach, by the bytes of the manifests themselves."""
    reached: set[str] = set()
    todo = list(roots)
    while todo:
        item = todo.pop()
        if item in reached:
            continue
        reached.add(item)
        try:
            with station.blobs.open_blob(Digest.parse(item)) as file:
                manifest = parse_manifest(file.read(limits.OCI_MANIFEST))
        except (LockgateError, OSError):
            continue  # a blob, or a manifest that went: it reaches nothing
        reached |= {str(blob.digest) for blob in manifest.blobs}
        for child in manifest.manifests:
            todo.append(str(child.digest)) if child.media_type in MANIFEST_TYPES else reached.add(str(child.digest))
    return reached


def _read(station: Station) -> _Log:
    log = _Log()
    taken_back: set[tuple[Act | None, str]] = set()
    for event in newest(station.paths.audit, without=mark(Act.PULL)):
        act, thing = read_act(event["act"]), str(event["thing"])
        if event["outcome"] != "done":
            if event["detail"].get("takes_back"):
                taken_back.add((act, thing))
            continue
        if (act, thing) in taken_back:  # recorded first, and then it did not happen
            taken_back.discard((act, thing))
            continue
        detail = event["detail"]
        digest = str(detail.get("digest", ""))
        if act == Act.INTAKE_IMPORT and digest:
            log.imported.setdefault(digest, (thing, str(detail.get("manifest", ""))))
        match explains(act):
            case Explains.RELEASE | Explains.RELEASE_ENDS as moved if digest not in log.moved:
                log.moved.add(digest)
                if moved is Explains.RELEASE:
                    log.released.add(digest)
            case Explains.LINK:
                log.links.add(thing)
            case Explains.CLOSURE:
                listed = detail.get("referrers", [])
                log.roots[_repository(thing)] |= {digest, *map(str, listed if isinstance(listed, list) else [])}
            case _:
                pass
    return log


def _repository(thing: str) -> str:
    """The repository of `repository:tag` or `repository@digest`."""
    name = thing.partition("@")[0]
    return name.rpartition(":")[0] or name


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each bundle of which something is shown that nobody released, or that the database forgot."""
    older = [one for one in found if one["kind"] == OLDER]
    links = [one for one in found if one["kind"] not in _RECORDS and one["kind"] != OLDER]
    bundles: dict[str, dict[str, Any]] = {}
    for one in links:
        bundles.setdefault(one["bundle"], {"count": 0, "first": one["repository"]})["count"] += 1
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
    return lines + [
        f"record: {name} came in by the audit log, and its entry or kept manifest is missing or changed; see:"
        " lockgate intake check"
        for name in forgotten[:_NAMED]
    ]
