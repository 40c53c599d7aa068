"""What the audit log says of imports, releases and links, and what a cut of the log keeps of it.

A prune removes events; what they said of imports, releases and single links goes into a file `imported/SHA256.cut`,
which the signed cut names. It is JSON lines: `{"bundle", "id", "manifest", "released"}` a bundle, `{"step", "digest",
"id", "references"}` a release (true) or a withdrawal (false), the newest first, `{"repository", "links"}`,
`{"repository", "roots"}` and `{"repository", "ended"}` for the rest, a thousand digests a line at most, with their
ages where that counts, and `{"acts"}`, the age of what came before. Each cut's file speaks of everything up to
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


Aged = dict[str, int]
"""Things with their age: how many acts came after the newest one that says it."""


@dataclass(slots=True)
class Shown:
    """What releases of a bundle showed: all of it (`everything`, the age of that), or artifacts by repository; events
    of earlier versions name only the references of a part."""

    everything: int | None = None
    artifacts: dict[str, Aged] = field(default_factory=lambda: defaultdict(dict))
    references: Aged = field(default_factory=dict)

    def add(self, other: Shown, older: int = 0) -> None:
        """What another release showed besides, `older` acts before what its ages say."""
        if other.everything is not None:
            self.everything = _newer(self.everything, other.everything + older)
        for repository, digests in other.artifacts.items():
            add_aged(self.artifacts[repository], digests, older)
        add_aged(self.references, other.references, older)


def add_aged(found: Aged, other: Aged, older: int = 0) -> None:
    """Add things that are `older` acts older than their ages say; of two ages the newer one counts."""
    for thing, age in other.items():
        found[thing] = _newer(found.get(thing), age + older)


def _newer(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


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
    release stands. `links`: links that were made one by one and not ended since, as `repository@digest`; `fresh` those
    of the last minute. `ended`: links that were taken away, with the age of that: no act before it explains them.
    `roots`: what else the station itself put into each repository. `acts`: how many acts these are, the age of what
    comes before them. `since`: from when all of this is known, "" from the beginning. `files`: the names of the files
    that signed cuts name. `damaged`: the one that is needed and is missing or changed; `lost`: events went that no cut
    kept anything of.
    """

    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    released: dict[str, Shown] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    ended: Aged = field(default_factory=dict)
    roots: dict[str, Aged] = field(default_factory=lambda: defaultdict(dict))
    acts: int = 0
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
        if explains(act) is Explains.LINK and event["micros"] > fresh and thing not in found.ended:
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
        case Explains.NOTHING:
            return
        case Explains.RELEASE if digest not in ended:
            found.released.setdefault(digest, Shown()).add(_shown(detail), found.acts)
        case Explains.RELEASE_ENDS:
            ended.add(digest)
        case Explains.LINK if thing not in found.ended:
            found.links.add(thing)
        case Explains.LINK_ENDS:
            digests = _texts(detail.get("digests"))
            for one in [f"{thing}@{each}" for each in digests] or [thing]:
                if one not in found.links:
                    found.ended.setdefault(one, found.acts)
        case Explains.CLOSURE:
            roots = (digest, *_texts(detail.get("referrers")))
            add_aged(found.roots[_repository(thing)], dict.fromkeys(roots, found.acts))
        case _:
            pass
    found.acts += 1


def _go_on_from(found: LogRecord, base: LogRecord, ended: set[str], taken_back: set[tuple[Act | None, str]]) -> None:
    """Add what a cut kept, beneath what came after it; an act that was taken back since did not happen."""
    for digest, (name, manifest) in base.imported.items():
        if (Act.INTAKE_IMPORT, name) not in taken_back:
            found.imported.setdefault(digest, (name, manifest))
        if digest in base.released and digest not in ended and (Act.INTAKE_RELEASE, name) not in taken_back:
            found.released.setdefault(digest, Shown()).add(base.released[digest], found.acts)
    for step in base.steps:
        act = Act.INTAKE_RELEASE if step.released else Act.INTAKE_WITHDRAW
        if (act, step.bundle) in taken_back:
            taken_back.discard((act, step.bundle))
        else:
            found.steps.append(step)
    undone = {thing for act, thing in taken_back if explains(act) is Explains.LINK}
    found.links |= {thing for thing in base.links if thing not in undone and thing not in found.ended}
    for thing, age in base.ended.items():
        if thing not in found.links:
            found.ended.setdefault(thing, age + found.acts)
    for repository, roots in base.roots.items():
        add_aged(found.roots[repository], roots, found.acts)
    found.acts += base.acts


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
            artifacts = {name: _aged(digests) for name, digests in shown["artifacts"].items()}
            everything = shown["everything"]
            age = None if everything is None or everything is False else int(everything)
            found.released[said["bundle"]] = Shown(
                0 if everything is True else age, artifacts, _aged(shown["references"])
            )
    elif "links" in said:
        found.links |= {f"{said['repository']}@{digest}" for digest in said["links"]}
    elif "ended" in said:
        found.ended |= {f"{said['repository']}@{digest}": int(age) for digest, age in said["ended"].items()}
    elif "acts" in said:
        found.acts = int(said["acts"])
    else:
        add_aged(found.roots[said["repository"]], _aged(said["roots"]))


def _aged(said: list[str] | dict[str, int]) -> Aged:
    """Things with their age; an earlier version's cut only lists them, and knows of nothing that ended."""
    return {str(one): int(age) for one, age in said.items()} if isinstance(said, dict) else dict.fromkeys(said, 0)


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
    for line in _lines(log, linked, inside=inside):
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


def _lines(log: LogRecord, linked: Iterable[tuple[str, str]], *, inside: bool) -> Iterator[bytes]:
    for digest, (name, manifest) in sorted(log.imported.items()):
        shown = log.released.get(digest)
        said = None if shown is None else {
            "everything": shown.everything,
            "artifacts": shown.artifacts,
            "references": shown.references,
        }  # fmt: skip
        yield strict_json.canonical({"bundle": digest, "id": name, "manifest": manifest, "released": said}) + b"\n"
    for step in log.steps:
        of = {"step": step.released, "digest": step.digest, "id": step.bundle, "references": sorted(step.references)}
        yield strict_json.canonical(of) + b"\n"
    yield strict_json.canonical({"acts": log.acts}) + b"\n"
    if inside:
        yield from _links(log, linked)


def _links(log: LogRecord, linked: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    links: dict[str, dict[str, int]] = defaultdict(dict)
    for repository, digest in linked:
        kept = links[repository]
        if f"{repository}@{digest}" in log.links:
            kept[digest] = 0
    for thing in log.fresh:
        repository, _, digest = thing.partition("@")
        links[repository][digest] = 0
    for repository, digests in sorted(links.items()):
        for some in _chunks(digests):
            yield _line(repository, "links", sorted(some))
    ended: dict[str, Aged] = defaultdict(dict)
    for thing, age in log.ended.items():
        repository, _, digest = thing.partition("@")
        ended[repository][digest] = age
    for repository, aged in sorted(ended.items()):
        for some in _chunks(aged):
            yield _line(repository, "ended", some)
    for repository, aged in sorted(log.roots.items()):
        for some in _chunks(aged) if repository in links else ():  # a repository that shows nothing needs none
            yield _line(repository, "roots", some)


def _chunks(aged: Aged) -> Iterator[Aged]:
    every = sorted(aged.items())
    for at in range(0, len(every), _CHUNK):
        yield dict(every[at : at + _CHUNK])


def _line(repository: str, word: str, said: list[str] | Aged) -> bytes:
    return strict_json.canonical({"repository": repository, word: said}) + b"\n"


def _shown(detail: Mapping[str, Any]) -> Shown:
    """What the event of a release says that it showed."""
    artifacts = detail.get("artifacts")
    if isinstance(artifacts, dict):
        return Shown(artifacts={str(name): dict.fromkeys(_texts(each), 0) for name, each in artifacts.items()})
    if detail.get("whole") is False:
        return Shown(references=dict.fromkeys(_texts(detail.get("references")), 0))
    return Shown(everything=0)


def _texts(said: object) -> list[str]:
    return [str(one) for one in said] if isinstance(said, list) else []


def _repository(thing: str) -> str:
    """The repository of `repository:tag` or `repository@digest`."""
    name = thing.partition("@")[0]
    return name.rpartition(":")[0] or name
