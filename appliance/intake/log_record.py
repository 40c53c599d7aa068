"""What the audit log says of imports, releases and links, and what a cut of the log keeps of it.

A prune removes events; what they said of imports, releases and single links goes into a file `imported/SHA256.cut`,
which the signed cut names. It is JSON lines: `{"bundle", "id", "manifest", "released"}` a bundle, `{"step", "digest",
"id", "references"}` a release (true) or a withdrawal (false), the newest first, `{"repository", "links"}` and
`{"repository", "roots"}` for the rest, a thousand digests a line at most. Each cut's file speaks of everything up to
it, so that the newest is enough.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance import clock
from appliance.observe.acts import Act, Explains, explains, mark, read_act
from appliance.observe.audit import beginnings, begins, is_pruned, newest
from appliance.observe.checkpoints import audit_key, lane_heads
from appliance.paths import StationPaths
from bundles import limits, strict_json
from bundles.audit_cut import CutRecord, read_cut
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError
from bundles.files import open_regular

SUFFIX: Final = ".cut"
_CHUNK: Final = 1_000
_SETTLES: Final = 60 * 1_000_000
"""Microseconds within which an act that is recorded is in the database."""


@dataclass(slots=True)
class Shown:
    """What releases of a bundle showed: all of it, or artifacts by repository; events of earlier versions name only the
    references of a part."""

    everything: bool = False
    artifacts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    references: set[str] = field(default_factory=set)

    def add(self, other: Shown) -> None:
        """What another release showed besides."""
        self.everything = self.everything or other.everything
        for repository, digests in other.artifacts.items():
            self.artifacts[repository] |= digests
        self.references |= other.references


@dataclass(frozen=True, slots=True)
class Step:
    """A release or a withdrawal of the bundle with a digest and an id; of a release the references that it showed."""

    released: bool
    digest: str
    bundle: str
    references: frozenset[str]


@dataclass(slots=True)
class LogRecord:
    """What the audit log says now, by digest.

    `imported`: each bundle that came in, as its id and the digest of its manifest ("" where an older program did not
    record that). `steps`: every release and withdrawal that happened, the newest first. `released`: the bundles whose
    release stands. `links`: links that were made one by one, as
    `repository@digest`; `fresh` those of the last minute. `roots`: what else the station itself put into each
    repository. `since`: from when all of this is known, "" from the beginning. `files`: the names of the files that
    signed cuts name. `damaged`: the one that is needed and is missing or changed; `lost`: events went that no cut kept
    anything of.
    """

    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    released: dict[str, Shown] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    roots: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    since: str = ""
    files: set[str] = field(default_factory=set)
    damaged: str = ""
    lost: bool = False


def read_log(paths: StationPaths, site: str, upto: Mapping[int, int] | None = None) -> LogRecord:
    """Read the log, up to an event's number in each lane that `upto` names, and what the newest cut kept.

    Raises FailedError where the log cannot be read.
    """
    found = LogRecord()
    base, covers = _kept_by_cuts(paths, site, found)
    ended: set[str] = set()
    taken_back: set[tuple[Act | None, str]] = set()
    before = None if upto is None else {lane: seq + 1 for lane, seq in upto.items()}
    fresh = clock.micros() - _SETTLES
    for event in newest(paths.audit, before=before, without=mark(Act.PULL)):
        if event["seq"] <= covers.get(str(event["lane"]), 0):
            continue
        act, thing, detail = read_act(event["act"]), str(event["thing"]), event["detail"]
        if event["outcome"] != "done":
            if detail.get("takes_back"):
                taken_back.add((act, thing))
            continue
        if (act, thing) in taken_back:  # recorded first, and then it did not happen
            taken_back.discard((act, thing))
            continue
        if explains(act) is Explains.LINK and event["micros"] > fresh:
            found.fresh.add(thing)
        _note(found, ended, act, thing, detail)
    if base is not None:
        _go_on_from(found, base, ended, taken_back)
    return found


def _note(found: LogRecord, ended: set[str], act: Act | None, thing: str, detail: Mapping[str, Any]) -> None:
    """Add what an event says; the newest come first, so that what ended stays so."""
    digest = str(detail.get("digest", ""))
    if act == Act.INTAKE_IMPORT and digest:
        found.imported.setdefault(digest, (thing, str(detail.get("manifest", ""))))
    if act in (Act.INTAKE_RELEASE, Act.INTAKE_WITHDRAW):
        references = frozenset(_texts(detail.get("references")))
        found.steps.append(Step(act == Act.INTAKE_RELEASE, digest, thing, references))
    match explains(act):
        case Explains.RELEASE if digest not in ended:
            found.released.setdefault(digest, Shown()).add(_shown(detail))
        case Explains.RELEASE_ENDS:
            ended.add(digest)
        case Explains.LINK:
            found.links.add(thing)
        case Explains.CLOSURE:
            found.roots[_repository(thing)] |= {digest, *_texts(detail.get("referrers"))}
        case _:
            pass


def _go_on_from(found: LogRecord, base: LogRecord, ended: set[str], taken_back: set[tuple[Act | None, str]]) -> None:
    """Add what a cut kept, beneath what came after it; an act that was taken back since did not happen."""
    for digest, (name, manifest) in base.imported.items():
        if (Act.INTAKE_IMPORT, name) not in taken_back:
            found.imported.setdefault(digest, (name, manifest))
        if digest in base.released and digest not in ended and (Act.INTAKE_RELEASE, name) not in taken_back:
            found.released.setdefault(digest, Shown()).add(base.released[digest])
    for step in base.steps:
        act = Act.INTAKE_RELEASE if step.released else Act.INTAKE_WITHDRAW
        if (act, step.bundle) in taken_back:
            taken_back.discard((act, step.bundle))
        else:
            found.steps.append(step)
    undone = {thing for act, thing in taken_back if explains(act) is Explains.LINK}
    found.links |= base.links - undone
    for repository, roots in base.roots.items():
        found.roots[repository] |= roots


def _kept_by_cuts(paths: StationPaths, site: str, found: LogRecord) -> tuple[LogRecord | None, Mapping[str, int]]:
    """What the newest cut kept, and up to which event of each lane it speaks; what is wrong goes into `found`."""
    pruned = is_pruned(paths.audit)
    if not pruned and not (paths.imported.is_dir() and any(paths.imported.glob(f"*{SUFFIX}"))):
        return None, {}
    records = _records(paths, site)
    found.files = {f"{one.sha256}{SUFFIX}" for one in records}
    if not pruned:  # the events are all there still: a prune was cut off
        return None, {}
    first = beginnings(paths.audit)
    record = max(records, key=lambda one: sum(one.covers.values()), default=None)
    found.since = begins(paths.audit)
    covers = {} if record is None else record.covers
    found.lost = any(seq - 1 > covers.get(str(lane), 0) for lane, seq in first.items())
    if record is None:
        return None, {}
    base = _load(paths, record)
    if base is None:
        found.damaged = f"{record.sha256}{SUFFIX}"
        return None, {}
    found.since = begins(paths.audit) if found.lost else record.since
    return base, record.covers


def _records(paths: StationPaths, site: str) -> list[CutRecord]:
    """What the signed cuts in the log name."""
    key = audit_key(paths).public
    found = []
    for event in newest(paths.audit, holding=mark(Act.AUDIT_PRUNE)):
        if (event["act"], event["outcome"]) != (Act.AUDIT_PRUNE, "done"):
            continue
        try:
            cut = read_cut(event["detail"], key, site)
        except MalformedError:  # `audit verify` names it
            continue
        if cut.record is not None:
            found.append(cut.record)
    return found


def _load(paths: StationPaths, record: CutRecord) -> LogRecord | None:
    """What a cut's file says; None where it is not the one that the cut names."""
    found, hasher = LogRecord(), hashlib.sha256()
    try:
        descriptor = open_regular(paths.imported / f"{record.sha256}{SUFFIX}", ceiling=limits.CUT_RECORD)
        with os.fdopen(descriptor, "rb") as file:
            while line := file.readline(limits.AUDIT_LINE):
                hasher.update(line)
                _take(found, strict_json.loads(
                    line, ceiling=limits.AUDIT_LINE, nodes=limits.AUDIT_LINE_NODES, what="a line of the record"
                ))  # fmt: skip
    except (LockgateError, OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return found if hasher.hexdigest() == record.sha256 else None


def _take(found: LogRecord, said: dict[str, Any]) -> None:
    if "step" in said:
        found.steps.append(Step(said["step"], said["digest"], said["id"], frozenset(said["references"])))
    elif "bundle" in said:
        found.imported[said["bundle"]] = (said["id"], said["manifest"])
        shown = said["released"]
        if shown is not None:
            artifacts = {name: set(digests) for name, digests in shown["artifacts"].items()}
            found.released[said["bundle"]] = Shown(shown["everything"], artifacts, set(shown["references"]))
    elif "links" in said:
        found.links |= {f"{said['repository']}@{digest}" for digest in said["links"]}
    else:
        found.roots[said["repository"]] |= set(said["roots"])


def make_record(
    paths: StationPaths, site: str, linked: Iterable[tuple[str, str]], *, inside: bool
) -> tuple[CutRecord, bytes]:
    """What a cut keeps, and its file's bytes. `linked` are (repository, digest) of the links that the database holds:
    only these are kept of what was linked one by one. An outside takes no bundles in, and keeps no links.

    Raises RefusedError where what the cut before kept is missing or changed, FailedError where it is too much.
    """
    covers = {head.lane: head.seq for head in lane_heads(paths.audit)}
    log = read_log(paths, site, covers)
    if log.damaged:
        raise RefusedError(
            "what an earlier prune kept is missing or was changed", thing=str(paths.imported / log.damaged),
            remedy="put the file back from a backup; see: lockgate intake check",
        )  # fmt: skip
    lines, size = [], 0
    for line in _lines(log, linked if inside else ()):
        lines.append(line)
        size += len(line)
        if size > limits.CUT_RECORD:
            raise FailedError(
                "the log explains too many links to be cut", thing=f"more than {limits.CUT_RECORD} bytes of them",
                remedy="delete repositories that clients filled and that nobody needs, then prune",
            )  # fmt: skip
    data = b"".join(lines)
    by_lane = {str(lane): seq for lane, seq in covers.items()}
    return CutRecord(sha256=hashlib.sha256(data).hexdigest(), covers=by_lane, since=log.since), data


def _lines(log: LogRecord, linked: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    for digest, (name, manifest) in sorted(log.imported.items()):
        shown = log.released.get(digest)
        said = None if shown is None else {
            "everything": shown.everything,
            "artifacts": {name: sorted(digests) for name, digests in shown.artifacts.items()},
            "references": sorted(shown.references),
        }  # fmt: skip
        yield strict_json.canonical({"bundle": digest, "id": name, "manifest": manifest, "released": said}) + b"\n"
    for step in log.steps:
        names = sorted(step.references)
        said = {"step": step.released, "digest": step.digest, "id": step.bundle, "references": names}
        yield strict_json.canonical(said) + b"\n"
    links, roots = defaultdict(set), defaultdict(set)
    for repository, digest in linked:
        if f"{repository}@{digest}" in log.links:
            links[repository].add(digest)
        if digest in log.roots.get(repository, ()):
            roots[repository].add(digest)
    for thing in log.fresh:
        repository, _, digest = thing.partition("@")
        links[repository].add(digest)
    for word, kept in (("links", links), ("roots", roots)):
        for repository, digests in sorted(kept.items()):
            every = sorted(digests)
            for at in range(0, len(every), _CHUNK):
                yield strict_json.canonical({"repository": repository, word: every[at : at + _CHUNK]}) + b"\n"


def _shown(detail: Mapping[str, Any]) -> Shown:
    """What the event of a release says that it showed."""
    artifacts = detail.get("artifacts")
    if isinstance(artifacts, dict):
        return Shown(artifacts={str(name): set(_texts(digests)) for name, digests in artifacts.items()})
    if detail.get("whole") is False:
        return Shown(references=set(_texts(detail.get("references"))))
    return Shown(everything=True)


def _texts(said: object) -> list[str]:
    return [str(one) for one in said] if isinstance(said, list) else []


def _repository(thing: str) -> str:
    """The repository of `repository:tag` or `repository@digest`."""
    name = thing.partition("@")[0]
    return name.rpartition(":")[0] or name
