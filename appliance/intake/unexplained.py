"""What clients see of bundles that came in, and no release in the audit log explains: a database edited by hand.

Visibility is a link, and links are rows; whoever writes to the database's file can make one. The audit log cannot be
written along with it: so every link to a bundle's content must follow from a release of it, or from a client's push.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.intake.ledger import MANIFEST_JSON, signed_files
from appliance.observe.acts import Act, Explains, explains, mark, read_act
from appliance.observe.audit import begins, is_pruned, newest
from appliance.station import Station
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.sums import MANIFEST, parse

_LISTED: Final = 1_000


@dataclass(slots=True)
class _Log:
    """What the audit log explains: bundles (by digest) that are released now, links that were made one by one,
    repositories that something else of the station's filled, and bundles whose import it still holds."""

    released: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)


def unexplained(station: Station) -> list[dict[str, str]]:
    """Each link of a bundle's content that nothing explains: {repository, digest, kind, bundle}, a thousand at most. A
    bundle whose entry is no longer what was signed is listed itself, as kind `entry`: its content cannot be told.

    Of bundles whose import is no longer in the log (it was exported and pruned), and of links that are older than it,
    nothing can be said.
    """
    read, log = station.reader.execute, _read(station)
    folder = station.paths.audit
    since = begins(folder) if is_pruned(folder) else ""
    entries = read("SELECT id, digest FROM intake").fetchall()
    hidden = [(name, digest) for name, digest in entries if digest in log.imported and digest not in log.released]
    found: list[dict[str, str]] = []
    for name, digest in hidden:
        blobs = _blobs(station, digest)
        if blobs is None:
            found.append({"repository": "", "digest": digest, "kind": "entry", "bundle": name})
            continue
        for item in blobs:
            rows = read(
                "SELECT r.name, l.kind FROM links l JOIN repositories r ON r.id = l.repository_id"
                " WHERE l.digest = ? AND l.created >= ?",
                (item, since),
            ).fetchall()
            for repository, kind in rows:
                if f"{repository}@{item}" in log.links or repository in log.repositories:
                    continue
                if not _released_otherwise(station, item, log):
                    found.append({"repository": repository, "digest": item, "kind": kind, "bundle": name})
    return found[:_LISTED]


def _blobs(station: Station, digest: str) -> list[str] | None:
    """The digests that a bundle's signed manifest names; None where the entry is not what was signed."""
    files = signed_files(station.reader, digest)
    if files is None or str(Digest.of(files.sums)) != digest:
        return None
    try:
        signed = {line.path: line.sha256 for line in parse(files.sums)}
        if signed.get(MANIFEST) != Digest.of(files.manifest).hex:
            return None
        return [str(blob["digest"]) for blob in json.loads(files.manifest)["blobs"]]
    except (LockgateError, ValueError, LookupError, TypeError):
        return None


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
        digest = str(event["detail"].get("digest", ""))
        if act == Act.INTAKE_IMPORT:
            log.imported.add(digest)
        match explains(act):
            case Explains.RELEASE | Explains.RELEASE_ENDS as moved if digest not in log.moved:
                log.moved.add(digest)
                if moved is Explains.RELEASE:
                    log.released.add(digest)
            case Explains.LINK:
                log.links.add(thing)
            case Explains.CLOSURE:
                log.repositories |= _repository(thing)
            case _:
                pass
    return log


def _repository(thing: str) -> set[str]:
    name = thing.partition("@")[0]
    return {name, name.rpartition(":")[0]} - {""}


def _released_otherwise(station: Station, item: str, log: _Log) -> bool:
    """Whether a bundle that is released, or one that the log no longer knows, carries or requires the same content."""
    rows = station.reader.execute(
        f"SELECT i.digest FROM intake i WHERE EXISTS (SELECT 1 FROM json_each({MANIFEST_JSON}, '$.blobs') b"  # noqa: S608
        f" WHERE json_extract(b.value, '$.digest') = ?1) OR EXISTS (SELECT 1 FROM json_each({MANIFEST_JSON},"
        " '$.requires') q WHERE json_extract(q.value, '$.digest') = ?1)",
        (item,),
    )
    return any(digest in log.released or digest not in log.imported for (digest,) in rows)


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each bundle of which something is shown that nobody released."""
    bundles: dict[str, dict[str, Any]] = {}
    for one in found:
        bundles.setdefault(one["bundle"], {"count": 0, "first": one["repository"]})["count"] += 1
    return [
        f"release: {name} is shown and nobody released it ({one['count']} links, {one['first']}): the database was"
        " changed by hand; see: lockgate intake check"
        for name, one in bundles.items()
    ]
