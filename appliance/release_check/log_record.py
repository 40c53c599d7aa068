"""What the audit log says of imports, releases and links, and what a prune keeps of it.

What a cut of the log kept (appliance.release_check.cut_record) is beneath what the events say that came after it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import FROM_ANOTHER, MOVES_TAGS, REPORTED, Act, Explains, explains, mark, read_act
from appliance.audit.checkpoints import vouched
from appliance.audit.reading import own_events
from appliance.paths import StationPaths
from appliance.release_check import cut_record, replay
from appliance.release_check.cut_record import SUFFIX, kept_by_cuts
from appliance.release_check.log_facts import HandedIn, LogRecord, ReleasedContent, add_aged
from appliance.release_check.step_record import DECIDES
from appliance.store.opening import open_store
from appliance.store.ports import Reader
from appliance.store.reads.links import every_link
from bundles import limits
from bundles.documents.audit_cut import CutRecord
from bundles.errors import FailedError, RefusedError

__all__ = ("SUFFIX", "LogRecord", "make_record", "read_log")

_OwnKey = tuple[Act | None, str, str, str]
"""An act, its thing, its actor and the key that it names."""
_Waiting = dict[str, list[tuple[str, bool]]]
"""By a link, the links that were mounted from it, and whether they were not taken away since."""
_OF_ACTS: Final = (b'{"bundle":', b'"deeds":')
"""What the lines of a cut hold that speak of bundles and deeds."""
_SETTLES: Final = 60 * 1_000_000
"""Microseconds within which an act that is recorded is in the database."""


def read_log(
    paths: StationPaths, site: str, upto: Mapping[int, int] | None = None, acts: Collection[Act] = ()
) -> LogRecord:
    """Read the log, up to an event's number in each lane that `upto` names, and what the newest cut kept. With `acts`
    these alone, and of the cut what it kept of bundles and deeds: that takes a fraction of the time.

    Raises FailedError where the log cannot be read.
    """
    found = LogRecord()
    base, covers = kept_by_cuts(paths, site, found, _OF_ACTS if acts else (b"",)), found.covers
    marks = tuple(map(mark, acts)) or (b"",)
    ended: set[str] = set()
    waiting: _Waiting = {}
    taken_back: set[tuple[Act | None, str]] = set()
    own = Counter[_OwnKey]()
    before = None if upto is None else {lane: seq + 1 for lane, seq in upto.items()}
    fresh = clock.micros() - _SETTLES
    for event in own_events(paths, before=before, without=mark(Act.PULL), foreign=found.foreign, marks=marks):
        if event["seq"] <= covers.get(str(event["lane"]), 0):
            continue
        act, thing, detail = read_act(event["act"]), str(event["thing"]), event["detail"]
        if act == Act.CLOSE:  # also one that was cut off: the settings change first
            found.closed = True
        if event["outcome"] != "done":
            if detail.get("takes_back"):
                own[_own_key(act, event)] += 1
                taken_back.add((act, thing))
            continue
        if _is_taken_back(own, taken_back, act, event):  # recorded first, and then it did not happen
            found.deeds.note_taken_back(act, event)
            if act in MOVES_TAGS:
                found.void.add((event["lane"], event["seq"]))
            continue
        if explains(act) is Explains.LINK and event["micros"] > fresh and thing not in found.ended:
            found.fresh.add(thing)
        found.blocks.note(act, event)
        found.deeds.note(act, event)
        if explains(act) is Explains.LINK:
            _linked(found, waiting, act, event)
        if act == Act.INTAKE_WITHDRAW or _is_of_withdrawal(act, event, taken_back):
            _left(found, detail)
        _note(found, ended, act, event)
    found.taken_back = taken_back
    if base is not None:
        _go_on_from(found, base, ended, taken_back)
    elif found.lost or found.damaged:
        found.closed = found.closed or None
    return found


def _own_key(act: Act | None, event: Mapping[str, Any]) -> _OwnKey:
    return act, str(event["thing"]), str(event["actor"]), str(event["detail"].get("keyid", ""))


def _is_taken_back(
    own: Counter[_OwnKey], taken_back: set[tuple[Act | None, str]], act: Act | None, event: Mapping[str, Any]
) -> bool:
    """Whether an event was taken back. Several people decide about a bundle at once: of decisions the one is meant that
    came from the same log-in by the same key, which events of an earlier version do not name."""
    key = (act, str(event["thing"]))
    if key not in taken_back:
        return False
    if act in DECIDES:
        mine = _own_key(act, event)
        mine = mine if own[mine] else (*mine[:3], "")
        if not own[mine]:
            return False
        own[mine] -= 1
        if not any(count and one[:2] == key for one, count in own.items()):
            taken_back.discard(key)
        return True
    taken_back.discard(key)
    return True


def _note(found: LogRecord, ended: set[str], act: Act | None, event: Mapping[str, Any]) -> None:
    """Add what an event says; the newest come first, so that what ended stays so."""
    thing, detail = str(event["thing"]), event["detail"]
    digest = str(detail.get("digest", ""))
    if digest:
        _note_entry(found, act, event, digest)
    match explains(act):
        case Explains.NOTHING:
            return
        case Explains.RELEASE:
            found.ever.setdefault(digest, set()).update(_repositories(detail))
            if digest not in ended:
                found.released.setdefault(digest, ReleasedContent()).add(_shown(detail), found.acts)
        case Explains.RELEASE_ENDS:
            ended.add(digest)
            found.undone.setdefault(digest, str(event["time"]))
            if act == Act.INTAKE_REJECT:
                found.rejected.add(digest)
        case Explains.LINK_ENDS:
            digests = _texts(detail.get("digests"))
            for one in [f"{thing}@{each}" for each in digests] or [thing]:
                if one not in found.links:
                    found.ended.setdefault(one, found.acts)
        case Explains.CLOSURE:
            roots = (digest, *_texts(detail.get("referrers")))
            add_aged(found.roots[repository_of(thing)], dict.fromkeys(roots, found.acts))
        case _:
            pass
    found.acts += 1


def _note_entry(found: LogRecord, act: Act | None, event: Mapping[str, Any], digest: str) -> None:
    """Add what an event says of the bundle with a digest."""
    detail = event["detail"]
    if act == Act.INTAKE_IMPORT:
        if found.closed and digest not in found.imported:
            found.brought_open.add(digest)
        found.imported.setdefault(digest, (str(event["thing"]), str(detail.get("manifest", ""))))
        found.importers.setdefault(digest, str(event["actor"]))
    if act == Act.INTAKE_APPROVE:
        handed = HandedIn(str(event["actor"]), bool(found.closed))
        found.approved.setdefault(digest, {}).setdefault(str(detail.get("keyid", "")), handed)
    if act in REPORTED:
        found.reports.setdefault(digest, str(detail.get("report", "")))


def _is_of_withdrawal(act: Act | None, event: Mapping[str, Any], taken_back: set[tuple[Act | None, str]]) -> bool:
    """Whether an event goes on with what a withdrawal leaves, if that was not taken back."""
    return act == Act.INTAKE_LEFT and (Act.INTAKE_WITHDRAW, str(event["detail"].get("bundle", ""))) not in taken_back


def _left(found: LogRecord, detail: Mapping[str, Any]) -> None:
    """Add the links that a withdrawal left, but for those that ended since."""
    stays = detail.get("stays")
    if isinstance(stays, dict):
        left = {f"{repository}@{digest}" for repository, each in stays.items() for digest in _texts(each)}
        found.left |= left - found.ended.keys()


def _linked(found: LogRecord, waiting: _Waiting, act: Act | None, event: Mapping[str, Any]) -> None:
    """Add a link that a client made. A mount or a copy says that its source's link was there: an older act must explain
    that one (`waiting`, by source), or a release or collect (appliance.release_check.unexplained)."""
    thing, source = str(event["thing"]), event["detail"].get("source")
    held = waiting.pop(thing, [])
    if act in FROM_ANOTHER and source:
        of = f"{source}@{thing.partition('@')[2]}"
        if thing not in found.links:
            held.append((thing, thing not in found.ended))
        waiting.setdefault(of, []).extend(held)
        for one, stands in held:
            (found.mounted if stands else found.was_mounted)[one] = of
        return
    if thing not in found.ended:
        held.append((thing, True))
    elif thing not in found.links:
        found.brought.add(thing)
    for one, stands in held:
        (found.links if stands else found.brought).add(one)
        (found.mounted if stands else found.was_mounted).pop(one, None)


def _go_on_from(found: LogRecord, base: LogRecord, ended: set[str], taken_back: set[tuple[Act | None, str]]) -> None:
    """Add what a cut kept, beneath what came after it; an act that was taken back since did not happen."""
    _go_on_from_entries(found, base, ended, taken_back)
    found.closed = found.closed or base.closed
    found.steps = base.steps
    for step in base.steps:
        if step.released:
            found.ever.setdefault(step.digest, set()).add("")
    for digest, repositories in base.ever.items():
        found.ever.setdefault(digest, set()).update(repositories)
    undone = {thing for act, thing in taken_back if explains(act) is Explains.LINK}
    _go_on_from_links(found, base, undone)
    found.brought |= base.brought - undone
    found.brought |= {thing for thing in found.ended if thing in base.links and thing not in undone}
    found.left |= base.left - found.ended.keys()
    for thing, age in base.ended.items():
        if thing not in found.links:
            found.ended.setdefault(thing, age + found.acts)
    for repository, roots in base.roots.items():
        add_aged(found.roots[repository], roots, found.acts)
    found.acts += base.acts
    found.blocks.go_on_from(base.blocks, taken_back)
    base.deeds.streams.inspected |= base.reports.keys()
    found.deeds.go_on_from(base.deeds, taken_back)


def _go_on_from_entries(
    found: LogRecord, base: LogRecord, ended: set[str], taken_back: set[tuple[Act | None, str]]
) -> None:
    for digest, (name, manifest) in base.imported.items():
        if (Act.INTAKE_IMPORT, name) not in taken_back:
            if digest in base.brought_open or (found.closed and digest not in found.imported):
                found.brought_open.add(digest)
            found.imported.setdefault(digest, (name, manifest))
            found.importers.setdefault(digest, base.importers.get(digest, ""))
        if (Act.INTAKE_APPROVE, name) not in taken_back:  # of which key is not said: then of none
            _go_on_from_approvals(found, digest, base.approved.get(digest, {}))
        if digest in base.reports and not any((act, name) in taken_back for act in REPORTED):
            found.reports.setdefault(digest, base.reports[digest])
        if digest in base.undone:
            found.undone.setdefault(digest, base.undone[digest])
        if digest in base.rejected and (Act.INTAKE_REJECT, name) not in taken_back:
            found.rejected.add(digest)
        if digest in base.released and digest not in ended and (Act.INTAKE_RELEASE, name) not in taken_back:
            found.released.setdefault(digest, ReleasedContent()).add(base.released[digest], found.acts)


def _go_on_from_approvals(found: LogRecord, digest: str, kept: Mapping[str, HandedIn]) -> None:
    for keyid, handed in kept.items():
        older = HandedIn(handed.actor, handed.while_open or bool(found.closed))
        found.approved.setdefault(digest, {}).setdefault(keyid, older)


def _go_on_from_links(found: LogRecord, base: LogRecord, undone: set[str]) -> None:
    for thing, source in list(found.mounted.items()):
        if source in base.links:
            found.links.add(thing)
            del found.mounted[thing]
        else:
            found.mounted[thing] = base.mounted.get(source, source)
    for thing, source in list(found.was_mounted.items()):
        if source in base.links or source in base.brought:
            found.brought.add(thing)
            del found.was_mounted[thing]
        else:
            found.was_mounted[thing] = base.mounted.get(source, base.was_mounted.get(source, source))
    found.links |= {thing for thing in base.links if thing not in undone and thing not in found.ended}
    for thing, source in base.mounted.items():
        if thing not in undone and thing not in found.links:
            (found.was_mounted if thing in found.ended else found.mounted).setdefault(thing, source)
    for thing, source in base.was_mounted.items():
        if thing not in undone and thing not in found.links:
            found.was_mounted.setdefault(thing, source)


def make_record(paths: StationPaths, site: str, reader: Reader | None, *, inside: bool) -> tuple[CutRecord, bytes]:
    """What a cut keeps, and its file's bytes. `reader` is of the station's database, None where there is none. An
    outside takes no bundles in, and keeps no links.

    Raises RefusedError where what the cut before kept is missing or changed, FailedError where it is too much.
    """
    covers = vouched(paths)
    log = read_log(paths, site, covers)
    if log.damaged:
        raise RefusedError(
            "what an earlier prune kept is missing or was changed", thing=str(paths.imported / log.damaged),
            remedy="put the file back from a backup; see: lockgate intake check",
        )  # fmt: skip
    linked = () if reader is None else every_link(reader)
    standing: Iterator[bytes] = iter(())
    if inside:
        before = clock.micros() - _SETTLES
        standing = replay.lines(replay.replay(paths, log, open_store(paths), reader, upto=covers, before=before), log)
    lines, size = [], 0
    for line in chain(cut_record.lines(log, linked, inside=inside), standing):
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


def _shown(detail: Mapping[str, Any]) -> ReleasedContent:
    """What the event of a release says that it showed."""
    artifacts = detail.get("artifacts")
    if isinstance(artifacts, dict):
        return ReleasedContent(
            artifacts={str(name): dict.fromkeys(_texts(each), 0) for name, each in artifacts.items()}
        )
    if detail.get("whole") is False:
        return ReleasedContent(references=dict.fromkeys(_texts(detail.get("references")), 0))
    return ReleasedContent(everything=0)


def _repositories(detail: Mapping[str, Any]) -> list[str]:
    """The repositories that a release's event names, "" for all that the manifest names."""
    artifacts = detail.get("artifacts")
    return [str(name) for name in artifacts] if isinstance(artifacts, dict) else [""]


def _texts(said: object) -> list[str]:
    return [str(one) for one in said] if isinstance(said, list) else []


def repository_of(thing: str) -> str:
    """The repository of `repository:tag` or `repository@digest`."""
    name = thing.partition("@")[0]
    return name.rpartition(":")[0] or name
