"""Reading the audit log: its events from the newest on, and where its lanes begin."""

from __future__ import annotations

import contextlib
import heapq
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.audit.checkpoints import standing_of
from appliance.audit.lane import lines_backwards
from appliance.audit.seals import SealedState
from appliance.paths import StationPaths
from bundles import limits
from bundles.documents.audit_log import Segment, lines_of, segments
from bundles.errors import MalformedError, RefusedError
from bundles.io import strict_json
from bundles.io.files import failures_named, open_regular


def newest(
    folder: Path,
    holding: bytes = b"",
    before: Mapping[int, int] | None = None,
    without: bytes = b"",
    standing: SealedState | None = None,
    foreign: set[str] | None = None,
    marks: tuple[bytes, ...] = (b"",),
) -> Iterator[dict[str, Any]]:
    """Every event whose line holds some bytes, and not others, and one of `marks`, the newest first, read only as far
    as the caller goes; of each lane that `before` names, only those below that number.

    With `standing` only what the station wrote is given; `foreign` gets the names of files that hold anything else.
    What is no event is left out: `audit verify` names it.
    """
    ends = dict(before or {})
    lanes: dict[int, list[Segment]] = {}
    for segment in segments(folder):
        lanes.setdefault(segment.lane, []).append(segment)
    asked = _Asked(holding, without, standing, set() if foreign is None else foreign)
    streams = [_backwards(lane, mine, asked, ends.get(lane), marks) for lane, mine in lanes.items()]
    return heapq.merge(*streams, key=lambda event: (-event["micros"], -event["lane"], -event["seq"]))


def own_events(
    paths: StationPaths,
    holding: bytes = b"",
    before: Mapping[int, int] | None = None,
    without: bytes = b"",
    foreign: set[str] | None = None,
    marks: tuple[bytes, ...] = (b"",),
) -> Iterator[dict[str, Any]]:
    """`newest` of what the station itself wrote: what a decision may rest on. Raises FailedError."""
    return newest(paths.audit, holding, before, without, standing_of(paths), foreign, marks)


def own_heads(paths: StationPaths) -> dict[int, int]:
    """The number of the newest event that the station wrote into each lane. Raises FailedError."""
    return {lane: next((seq for seq, _ in lines), 0) for lane, lines in _own_lines(paths).items()}


def own_since(paths: StationPaths, after: Mapping[int, int], marks: Iterable[bytes]) -> list[dict[str, Any]]:
    """Every event that the station wrote, of each lane above the number that `after` names, whose line holds one of
    `marks`; the newest first. Reads no further back. Raises FailedError."""
    wanted, found = tuple(marks), []
    for lane, lines in _own_lines(paths).items():
        for seq, line in lines:
            if seq <= after.get(lane, 0):
                break
            if any(one in line for one in wanted) and (event := _event(line, lane)) is not None:
                found.append(event)
    return sorted(found, key=lambda event: (-event["micros"], -event["lane"], -event["seq"]))


def _own_lines(paths: StationPaths) -> dict[int, Iterator[tuple[int, bytes]]]:
    """By lane the lines that the station wrote, with their numbers, the newest first."""
    standing, lanes = standing_of(paths), dict[int, list[Segment]]()
    for segment in segments(paths.audit):
        lanes.setdefault(segment.lane, []).append(segment)
    return {
        lane: (
            (_seq_of(line), line)
            for line, own in standing.own(lane, _lines(mine, [""], set()), b"", b"")
            if own
        )
        for lane, mine in lanes.items()
    }  # fmt: skip


def _seq_of(line: bytes) -> int:
    """The number of a line of the station's, unparsed: its keys are sorted, and no text behind this one holds a bare
    quotation mark."""
    digits = line.rpartition(b'"seq":')[2].partition(b",")[0]
    return int(digits) if digits.isdigit() else 0


def own_oldest(
    paths: StationPaths,
    holding: Iterable[bytes],
    after: Mapping[str, int],
    foreign: Collection[str],
    key: Callable[[Mapping[str, Any]], Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Every event that the station wrote and whose line holds one of some bytes, the oldest first; of each lane that
    `after` names, only those above that number. `foreign` are the files that `own_events` named of the same log: of
    their lanes the events are held in memory, of others none is. `key`: the order of events of several lanes, in place
    of the wall clock (appliance.audit.event_order). Raises FailedError."""
    marks = tuple(holding)
    lanes: dict[int, list[Segment]] = {}
    for segment in segments(paths.audit):
        lanes.setdefault(segment.lane, []).append(segment)
    asked = _Asked(b"", b"", standing_of(paths), set())
    streams = []
    for lane, mine in lanes.items():
        if any(segment.path.name in foreign for segment in mine):
            own = list(_backwards(lane, mine, asked, None, marks))
            streams.append(_above(reversed(own), after.get(str(lane), 0)))
        else:
            streams.append(_above(_forwards(lane, mine, marks), after.get(str(lane), 0)))
    return heapq.merge(*streams, key=key or _by_clock)


def _by_clock(event: Mapping[str, Any]) -> tuple[int, int, int]:
    return event["micros"], event["lane"], event["seq"]


def _above(events: Iterable[dict[str, Any]], after: int) -> Iterator[dict[str, Any]]:
    return (event for event in events if event["seq"] > after)


def _forwards(lane: int, mine: list[Segment], marks: tuple[bytes, ...]) -> Iterator[dict[str, Any]]:
    for segment in mine:
        with contextlib.suppress(RefusedError):
            for line in lines_of(segment.path):
                if any(one in line for one in marks) and (event := _event(line, lane)) is not None:
                    yield event


@dataclass(frozen=True, slots=True)
class _Asked:
    holding: bytes
    without: bytes
    standing: SealedState | None
    foreign: set[str]


def _backwards(
    lane: int, mine: list[Segment], asked: _Asked, end: int | None, marks: tuple[bytes, ...] = (b"",)
) -> Iterator[dict[str, Any]]:
    files = [""]
    lines = _lines(mine, files, asked.foreign)
    if asked.standing is not None:
        pairs = asked.standing.own(lane, lines, asked.holding, asked.without)
    else:
        pairs = (
            (line, True) for line in lines if asked.holding in line and not (asked.without and asked.without in line)
        )
    for line, own in pairs:
        if own and not any(one in line for one in marks):
            continue
        event = _event(line, lane)
        if not own or event is None:
            asked.foreign.add(files[0])
        elif end is None or event["seq"] < end:
            yield event


def _lines(mine: list[Segment], files: list[str], foreign: set[str]) -> Iterator[bytes]:
    """A lane's lines, the newest first; the file that is being read stands in `files`."""
    for segment in reversed(mine):
        files[0] = segment.path.name
        try:
            yield from lines_backwards(segment.path, ceiling=limits.AUDIT_SEGMENT)
        except RefusedError:  # a link, a pipe, or larger than a station's
            foreign.add(segment.path.name)


def _event(line: bytes, lane: int) -> dict[str, Any] | None:
    """A line's event; None where it has another shape than one of this lane."""
    try:
        if len(line) > limits.AUDIT_LINE_NODES:  # a line has no more nodes than bytes
            strict_json.check_structure(line, nodes=limits.AUDIT_LINE_NODES, what="the event")
        event = json.loads(line)
    except (MalformedError, ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("lane") != lane or not isinstance(event.get("detail"), dict):
        return None
    numbers = all(type(event.get(name)) is int for name in ("lane", "micros", "seq"))
    texts = all(isinstance(event.get(name), str) for name in ("act", "actor", "outcome", "thing", "time"))
    return event if numbers and texts else None


def begins(folder: Path) -> str:
    """When the first event that is still in the log was; "" for an empty one."""
    found = (_first_event(segment) for segment in segments(folder))
    return min((str(event["time"]) for event in found if event is not None), default="")


def beginnings(folder: Path) -> dict[int, int]:
    """The number of each lane's first event that is still in the log; a lane whose first line is none is left out."""
    first: dict[int, Segment] = {}
    for segment in segments(folder):
        first.setdefault(segment.lane, segment)
    found = {lane: _first_event(segment) for lane, segment in first.items()}
    return {lane: int(event["seq"]) for lane, event in found.items() if event is not None}


def _first_event(segment: Segment) -> dict[str, Any] | None:
    try:
        descriptor = open_regular(segment.path)
    except RefusedError:
        return None
    with os.fdopen(descriptor, "rb") as file, failures_named(segment.path, "the audit log cannot be read"):
        return _event(file.readline(limits.AUDIT_LINE), segment.lane)


def is_pruned(folder: Path) -> bool:
    """Whether a lane no longer begins with its first segment."""
    first: dict[int, int] = {}
    for segment in segments(folder):
        first.setdefault(segment.lane, segment.number)
    return any(number > 1 for number in first.values())


def tail(folder: Path, limit: int) -> list[dict[str, Any]]:
    """The newest events, oldest first, each as its JSON object."""
    found = [event for _, event in zip(range(limit), newest(folder), strict=False)]
    return found[::-1]
