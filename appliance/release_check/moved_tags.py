"""Tags of repositories that held released content, and that do not stand where the audit log says.

A tag is a row, and whoever writes to the database's file, or finds a way around the registry's rules, can move one,
delete one or make one up. Where each must stand follows from the audit log's acts and from the bundles' signed
manifests (appliance.release_check.replay); a repository that never held released content is its clients' own.
"""

from __future__ import annotations

import time
from typing import Final

from appliance.release_check.changed_claims import changed_claims
from appliance.release_check.log_facts import LogRecord
from appliance.release_check.log_record import read_log
from appliance.release_check.replay import Replayed, ever_released, replay
from appliance.release_check.standing_content import lost_blobs
from appliance.release_check.tag_history import CLIENT, RepositoryTags
from appliance.station import Station
from appliance.store.reads.links import manifests_of, tags_of
from bundles.io.display import safe

MISSING: Final = "missing"
"""The kind of a finding about a released manifest, or a blob of one, that is not shown."""
CLAIM: Final = "claim"
"""The kind of a finding about a row that says what a release stands for, and is missing or made up."""
_LISTED: Final = 1_000
_SETTLES: Final = 1.0
"""Seconds after which a finding is looked at again: an act is recorded before its transaction, which may be on its
way."""


def moved_tags(station: Station) -> list[dict[str, str]]:
    """`moved` without claims: what clients see."""
    return [one for one in moved(station) if one["kind"] != CLAIM]


def moved(station: Station) -> list[dict[str, str]]:
    """Each such tag that stands elsewhere, a thousand at most: {repository, tag, digest, found, kind, bundle}.

    `digest` is where it must stand ("" for nowhere), `found` where it stands ("" where it is gone), `kind` is `tag`,
    `bundle` the newest release of it that still counts ("" for none). Kind `manifest` is a link that a client's push
    would explain, had a withdrawal not ended it since (`tag` is empty, `found` is its digest); `missing` a released
    manifest, or a blob of one, that nobody took away and that is not shown; `claim` a row
    of what a release stands for that is `missing` or `unexplained` (`found`). Of what was pruned, a cut keeps what is
    needed (appliance.release_check.cut_record). Raises FailedError where the log cannot be read.
    """
    found = _look(station)
    if found:
        time.sleep(_SETTLES)
        again = _look(station)
        found = [one for one in found if one in again]
    return found[:_LISTED]


def _look(station: Station) -> list[dict[str, str]]:
    log = read_log(station.paths, station.config.site)
    names = ever_released(station.paths, log, station.reader)
    replayed = replay(station.paths, log, station.blobs, station.reader, only=names) if names else Replayed()
    found: list[dict[str, str]] = []
    for repository in sorted(names):
        standing = replayed.repositories.get(repository)
        if standing is not None:
            found += _compare(replayed, repository, standing, tags_of(station.reader, repository))
            here = manifests_of(station.reader, repository)
            found += [*_ended(log, repository, standing, here), *_missing(replayed, repository, standing, here)]
        if len(found) >= _LISTED:
            break
    found += [
        {"repository": repository, "tag": "", "digest": digest, "found": "", "kind": MISSING, "bundle": bundle}
        for repository, digest, bundle in lost_blobs(station, log, replayed, max(_LISTED - len(found), 0))
    ]
    found += [
        {
            "repository": repository, "tag": item if kind == "tag" else "", "digest": target, "found": how,
            "kind": CLAIM, "bundle": replayed.names.get(bundle, bundle),
        }
        for repository, (bundle, kind, item, target), how in changed_claims(
            station.reader, replayed, max(_LISTED - len(found), 0)
        )
    ]  # fmt: skip
    return found


def _compare(
    replayed: Replayed, repository: str, standing: RepositoryTags, here: dict[str, str]
) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for tag in sorted(here.keys() | standing.tags.keys() | standing.either.keys()):
        if not standing.whole and tag not in standing.tags and tag not in standing.either:
            continue  # what clients did before the log that is left is not known
        now, target = here.get(tag, ""), standing.target(tag)
        if now != target and now not in standing.either.get(tag, ()):
            bundle = next((replayed.names.get(who, "") for who, _ in reversed(standing.claims(tag))), "")
            found.append(
                {"repository": repository, "tag": tag, "digest": target, "found": now, "kind": "tag", "bundle": bundle}
            )
    return found


def _ended(log: LogRecord, repository: str, standing: RepositoryTags, here: set[str]) -> list[dict[str, str]]:
    """Manifests that are shown, that nobody shows any more by the log, and whose push `unexplained` still counts: it
    said nothing new while a release showed the same, and went with that."""
    return [
        {"repository": repository, "tag": "", "digest": digest, "found": digest, "kind": "manifest", "bundle": ""}
        for digest in (sorted(here) if standing.whole else ())
        if f"{repository}@{digest}" in log.links and not standing.shows(digest) and digest not in standing.unsure
    ]


def _missing(replayed: Replayed, repository: str, standing: RepositoryTags, here: set[str]) -> list[dict[str, str]]:
    found = []
    for digest, history in sorted(standing.shown.items() if standing.whole else ()):
        if digest in here or digest in standing.unsure or not standing.shows(digest):
            continue
        bundle = next((replayed.names.get(who, "") for who in reversed(history) if who != CLIENT), "")
        if bundle:
            found.append({"repository": repository, "tag": "", "digest": digest, "found": "", "kind": MISSING,
                          "bundle": bundle})  # fmt: skip
    return found


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each tag."""
    return [_alarm(one) for one in found]


def _alarm(one: dict[str, str]) -> str:
    if one["kind"] == MISSING:
        return (
            f"release: {safe(one['repository'])}@{one['digest']} of {safe(one['bundle'])} was released and is not"
            " shown; see: lockgate intake check"
        )
    if one["kind"] == CLAIM:
        thing = f"{safe(one['repository'])}{':' + safe(one['tag']) if one['tag'] else '@' + safe(one['digest'])}"
        return (
            f"release: the row that {safe(one['bundle'])} stands for {thing} is {one['found']}: the database was"
            " changed by hand; see: lockgate intake check"
        )
    if one["kind"] != "tag":
        return (
            f"release: {safe(one['repository'])}@{one['digest']} is shown and was withdrawn: the database was changed"
            " by hand; see: lockgate intake check"
        )
    reference = f"release: {safe(one['repository'])}:{safe(one['tag'])}"
    at = f"at {one['found']}" if one["found"] else "nowhere"
    if one["bundle"]:
        said = f" of {safe(one['bundle'])} no longer points where the release put it, but {at}"
    else:
        said = f" stands {at}, and by the audit log {'at ' + one['digest'] if one['digest'] else 'nowhere'}"
    return f"{reference}{said}; see: lockgate intake check"
