"""What a cut of the audit log keeps of it, in a file `imported/SHA256.cut` that the signed cut names.

A prune removes events; what they said of imports, approvals, releases, links, tags and blocks goes there. It is JSON
lines: `{"acts", "closed"}`, the age of what came before, and whether the station was closed since it was made;
`{"blocks"}` (appliance.release_check.block_record); `{"deeds"}` (appliance.release_check.deed_record); `{"bundle",
"id", "manifest", "by", "open", "approved", "undone", "rejected", "ever", "released"}` a bundle, in the order of their
digests; `{"repository", "links"}`, and so `mounted`, `ended`, `brought`, `was_mounted`, `left` and `roots`, with ages
where these count; `{"standing", …}` what stands in a repository
(appliance.release_check.tag_history), bundles by their place; `{"pending"}` an act of the last minute about tags. A
line holds a thousand things at most. Each cut's file speaks of everything up to it, so that the newest is enough.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from appliance.audit.acts import Act, mark
from appliance.audit.checkpoints import public_keys
from appliance.audit.reading import beginnings, begins, is_pruned, own_events
from appliance.paths import StationPaths
from appliance.release_check.log_facts import Aged, HandedIn, LogRecord, ReleasedContent, Step, add_aged
from bundles import limits
from bundles.documents.audit_cut import CutRecord, read_cut
from bundles.errors import LockgateError, MalformedError
from bundles.io import strict_json
from bundles.io.files import open_regular

SUFFIX: Final = ".cut"
CHUNK: Final = 1_000


def kept_by_cuts(
    paths: StationPaths, site: str, found: LogRecord, marks: tuple[bytes, ...] = (b"",)
) -> LogRecord | None:
    """What the newest cut kept, of the lines that hold one of `marks`; what is wrong with it, and which cut that is,
    goes into `found`."""
    record = newest_cut(paths, site, found)
    if record is None:
        return None
    base = _load(paths, record, marks)
    if base is None:
        found.damaged = f"{record.sha256}{SUFFIX}"
        return None
    found.cut = record
    found.since = begins(paths.audit) if found.lost else record.since
    return base


def newest_cut(paths: StationPaths, site: str, found: LogRecord) -> CutRecord | None:
    """The record of the newest cut, None where nothing was pruned; what is wrong goes into `found`."""
    pruned = is_pruned(paths.audit)
    if not pruned and not (paths.imported.is_dir() and any(paths.imported.glob(f"*{SUFFIX}"))):
        return None
    records = _records(paths, site)
    found.files = {f"{one.sha256}{SUFFIX}" for one in records}
    if not pruned:  # the events are all there still: a prune was cut off
        return None
    first = beginnings(paths.audit)
    record = max(records, key=lambda one: sum(one.covers.values()), default=None)
    found.since = begins(paths.audit)
    covers = {} if record is None else record.covers
    found.lost = any(seq - 1 > covers.get(str(lane), 0) for lane, seq in first.items())
    return record


def _records(paths: StationPaths, site: str) -> list[CutRecord]:
    """What the signed cuts in the log name."""
    keys = public_keys(paths, site)
    found = []
    for event in own_events(paths, holding=mark(Act.AUDIT_PRUNE)):
        if (event["act"], event["outcome"]) != (Act.AUDIT_PRUNE, "done"):
            continue
        try:
            cut = read_cut(event["detail"], keys, site)
        except MalformedError:  # `audit verify` names it
            continue
        if cut.record is not None:
            found.append(cut.record)
    return found


def read_lines(paths: StationPaths, record: CutRecord, marks: tuple[bytes, ...] = (b"",)) -> Iterator[dict[str, Any]]:
    """The lines of a cut's file that hold one of `marks`. Raises MalformedError or OSError, behind the last line too,
    where it is not the file that the cut names."""
    hasher = hashlib.sha256()
    with os.fdopen(open_regular(paths.imported / f"{record.sha256}{SUFFIX}", ceiling=limits.CUT_RECORD), "rb") as file:
        while line := file.readline(limits.AUDIT_LINE):
            hasher.update(line)
            if any(one in line for one in marks):
                yield strict_json.loads(
                    line, ceiling=limits.AUDIT_LINE, nodes=limits.AUDIT_LINE_NODES, what="a line of the record"
                )
    if hasher.hexdigest() != record.sha256:
        raise MalformedError("what a cut kept was changed", thing=record.sha256)


def kept_of(paths: StationPaths, site: str, digest: str) -> LogRecord:
    """What the newest cut kept of one bundle; nothing where there is none. Where its file is missing or changed, or
    events went of which no cut kept anything, `closed` is None."""
    found, about = LogRecord(), LogRecord()
    record = newest_cut(paths, site, about)
    marks = (b'"acts":', b'"bundle":"%s"' % digest.encode())
    try:
        for said in read_lines(paths, record, marks) if record is not None else ():
            _take(found, said)
    except (LockgateError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return LogRecord(closed=None)
    found.cut = record
    if about.lost:
        found.closed = None
    return found


def _load(paths: StationPaths, record: CutRecord, marks: tuple[bytes, ...]) -> LogRecord | None:
    """What a cut's file says in lines that hold one of `marks`; None where it is not the one that the cut names."""
    found = LogRecord()
    try:
        for said in read_lines(paths, record, marks):
            _take(found, said)
    except (LockgateError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return found


def _take(found: LogRecord, said: dict[str, Any]) -> None:
    if "blocks" in said:
        found.blocks.take(said)
    elif "deeds" in said:
        found.deeds.take(said)
    elif "step" in said:
        found.steps.append(Step(said["step"], said["digest"], said["id"], frozenset(said["references"])))
    elif "bundle" in said:
        _take_bundle(found, said)
    elif "acts" in said:
        found.acts = int(said["acts"])
        found.closed = None if said.get("closed") is None else bool(said["closed"])
    elif "repository" in said:
        _take_links(found, said["repository"], said)


def _take_bundle(found: LogRecord, said: dict[str, Any]) -> None:
    digest = said["bundle"]
    found.imported[digest] = (said["id"], said["manifest"])
    for word, kept in (("by", found.importers), ("undone", found.undone), ("report", found.reports)):
        if said.get(word):
            kept[digest] = str(said[word])
    if said.get("open"):
        found.brought_open.add(digest)
    for keyid, (actor, while_open) in said.get("approved", {}).items():
        found.approved.setdefault(digest, {})[str(keyid)] = HandedIn(str(actor), bool(while_open))
    if said.get("rejected"):
        found.rejected.add(digest)
    if said.get("ever") is not None:
        found.ever[digest] = set(map(str, said["ever"]))
    shown = said["released"]
    if shown is not None:
        artifacts = {name: _aged(digests) for name, digests in shown["artifacts"].items()}
        everything = shown["everything"]
        age = None if everything is None or everything is False else int(everything)
        found.released[digest] = ReleasedContent(
            0 if everything is True else age, artifacts, _aged(shown["references"])
        )


def _take_links(found: LogRecord, repository: str, said: dict[str, Any]) -> None:
    found.links |= {f"{repository}@{digest}" for digest in said.get("links", ())}
    found.mounted |= {f"{repository}@{digest}": str(of) for digest, of in said.get("mounted", {}).items()}
    found.was_mounted |= {f"{repository}@{digest}": str(of) for digest, of in said.get("was_mounted", {}).items()}
    found.ended |= {f"{repository}@{digest}": int(age) for digest, age in said.get("ended", {}).items()}
    found.brought |= {f"{repository}@{digest}" for digest in said.get("brought", ())}
    found.left |= {f"{repository}@{digest}" for digest in said.get("left", ())}
    if "roots" in said:
        add_aged(found.roots[repository], _aged(said["roots"]))


def _aged(said: list[str] | dict[str, int]) -> Aged:
    """Things with their age; an earlier version's cut only lists them, and knows of nothing that ended."""
    return {str(one): int(age) for one, age in said.items()} if isinstance(said, dict) else dict.fromkeys(said, 0)


def lines(log: LogRecord, linked: Iterable[tuple[str, str]], *, inside: bool) -> Iterator[bytes]:
    """What a cut keeps, but for what stands: of `linked`, the (repository, digest) that the database shows, what was
    linked one by one. An outside keeps no links."""
    yield strict_json.canonical({"acts": log.acts, "closed": log.closed}) + b"\n"
    yield from log.blocks.lines()
    yield from log.deeds.lines()
    for digest, (name, manifest) in sorted(log.imported.items()):
        shown, ever = log.released.get(digest), log.ever.get(digest)
        approved = {key: [one.actor, one.while_open] for key, one in log.approved.get(digest, {}).items()}
        said: dict[str, Any] = {
            "bundle": digest, "id": name, "manifest": manifest, "by": log.importers.get(digest, ""),
            "open": digest in log.brought_open, "approved": approved,
            "report": log.reports.get(digest, ""), "undone": log.undone.get(digest, ""),
            "rejected": digest in log.rejected,
            "ever": None if ever is None else sorted(ever), "released": None,
        }  # fmt: skip
        if shown is not None:
            said["released"] = {
                "everything": shown.everything, "artifacts": shown.artifacts, "references": shown.references,
            }  # fmt: skip
        yield strict_json.canonical(said) + b"\n"
    if inside:
        yield from _links(log, linked)


def _links(log: LogRecord, linked: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    links: dict[str, dict[str, Any]] = defaultdict(dict)
    mounted: dict[str, dict[str, Any]] = defaultdict(dict)
    here = set()
    for repository, digest in chain(linked, (tuple(thing.split("@", 1)) for thing in log.fresh)):
        here.add(repository)
        if f"{repository}@{digest}" in log.links:
            links[repository][digest] = 0
        elif source := log.mounted.get(f"{repository}@{digest}"):
            mounted[repository][digest] = source
    ended: dict[str, dict[str, Any]] = defaultdict(dict)
    brought: dict[str, dict[str, Any]] = defaultdict(dict)
    was_mounted: dict[str, dict[str, Any]] = defaultdict(dict)
    for thing, age in log.ended.items():
        repository, _, digest = thing.partition("@")
        ended[repository][digest] = age
        if thing in log.brought:
            brought[repository][digest] = 0
        elif source := log.was_mounted.get(thing):
            was_mounted[repository][digest] = source
    left: dict[str, dict[str, Any]] = defaultdict(dict)
    for thing in log.left:
        repository, _, digest = thing.partition("@")
        left[repository][digest] = 0
    here |= {of.partition("@")[0] for said in (mounted, was_mounted) for each in said.values() for of in each.values()}
    roots = {repository: aged for repository, aged in log.roots.items() if repository in here}
    for word, kept in (
        ("links", links), ("mounted", mounted), ("ended", ended), ("brought", brought), ("was_mounted", was_mounted),
        ("left", left), ("roots", roots),
    ):  # fmt: skip
        for repository, said in sorted(kept.items()):
            for some in _chunks(said):
                told = sorted(some) if word in ("links", "brought", "left") else some
                yield strict_json.canonical({"repository": repository, word: told}) + b"\n"


def _chunks(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    every = sorted(said.items())
    for at in range(0, len(every), CHUNK):
        yield dict(every[at : at + CHUNK])
