"""The one port every act goes to, and its adapters: the station's chained log, and a list for tests."""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from appliance import clock, limits
from appliance.observe.acts import Act
from appliance.observe.lanes import Lane, lane_of
from bundles.audit_log import Segment, segments
from bundles.errors import FailedError, LockgateError
from bundles.files import failures_named

Outcome = Literal["done", "refused", "failed"]
_BLOCK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who (`actor`) did what (`act`) to which thing, and how it ended; `detail` is plain JSON data."""

    act: Act
    actor: str
    thing: str
    outcome: Outcome = "done"
    detail: Mapping[str, Any] = field(default_factory=dict)


class AuditPort(Protocol):
    """Takes events, one verb."""

    def record(self, event: AuditEvent) -> None:
        """Keep the event; durable on return. Raises FailedError where it cannot: the act must then not happen."""
        ...


@dataclass(slots=True)
class _Flood:
    """The same refusal, again and again."""

    event: AuditEvent
    until: float
    seen: int = 0
    held: int = 0
    since: str = ""


class FileAudit:
    """Appends to this process's lane of the log in `folder` (docs/internals/audit-log.md); safe for threads.

    Of the same refusal within a minute the first few are written one by one, then those that make the count a power
    of ten, and the others are counted: an intruder who knocks all night neither fills the disk nor hides in a crowd.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lane: Lane | None = None
        self._floods: OrderedDict[tuple[str, ...], _Flood] = OrderedDict()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def record(self, event: AuditEvent) -> None:
        """As AuditPort.record."""
        for kept in self._admit(event):
            self._append(kept)

    def close(self) -> None:
        """Write out what was only counted so far."""
        with self._lock:
            held = [flood for flood in self._floods.values() if flood.held]
            self._floods.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        for flood in held:
            self._append(_counted(flood))

    def _append(self, event: AuditEvent) -> None:
        if self._lane is None or self._lane.broken:
            self._lane = None
            self._lane = lane_of(self._folder)
        self._lane.append(
            {
                "act": str(event.act),
                "actor": event.actor,
                "thing": event.thing,
                "outcome": event.outcome,
                "detail": dict(event.detail),
            }
        )

    def _admit(self, event: AuditEvent) -> list[AuditEvent]:
        """What is to be written now that `event` happened."""
        moment = time.monotonic()
        with self._lock:
            found = [_counted(flood) for flood in self._ended(moment)]
            if event.outcome == "done":
                # A refusal may follow that takes this very event back: it must never be one that is only counted.
                found += [_counted(flood) for flood in self._forget(event)]
                return [*found, event]
            key = (event.act, event.actor, event.thing, event.outcome, str(event.detail.get("reason", "")))
            flood = self._floods.get(key)
            if flood is None:
                if len(self._floods) >= limits.AUDIT_FLOODS:
                    _, oldest = self._floods.popitem(last=False)
                    found += [_counted(oldest)] if oldest.held else []
                flood = self._floods[key] = _Flood(event, moment + limits.AUDIT_FLOOD)
            flood.seen += 1
            if flood.seen <= limits.AUDIT_FLOOD_FREE:
                return [*found, event]
            flood.held += 1
            flood.since = flood.since or clock.now()
            if str(flood.seen).strip("0") == "1":
                found.append(_counted(flood))
                flood.held, flood.since = 0, ""
            elif self._timer is None:
                self._timer = threading.Timer(limits.AUDIT_FLOOD, self._tick)
                self._timer.daemon = True
                self._timer.start()
            return found

    def _ended(self, moment: float) -> Iterator[_Flood]:
        while self._floods:
            key, flood = next(iter(self._floods.items()))
            if flood.until > moment:
                return
            del self._floods[key]
            if flood.held:
                yield flood

    def _forget(self, event: AuditEvent) -> list[_Flood]:
        same = [key for key in self._floods if key[:3] == (event.act, event.actor, event.thing)]
        return [flood for flood in map(self._floods.pop, same) if flood.held]

    def _tick(self) -> None:
        with contextlib.suppress(FailedError):  # the next act meets the same full disk, and is refused
            self.close()


def _counted(flood: _Flood) -> AuditEvent:
    event = flood.event
    detail = {**event.detail, "repeated": flood.held, "since": flood.since, "until": clock.now()}
    return AuditEvent(event.act, event.actor, event.thing, event.outcome, detail)


class MemoryAudit:
    """Keeps events in a list, for unit tests."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def record(self, event: AuditEvent) -> None:
        """As AuditPort.record."""
        self.events.append(event)


def refusal(act: Act, actor: str, thing: str, error: LockgateError, *, recorded: bool = False) -> AuditEvent:
    """The event of an act that was refused (exit 3) or failed; `recorded`: it was recorded as done before, and this
    takes that back."""
    outcome: Outcome = "refused" if error.exit_status == 3 else "failed"
    detail = {"reason": error.diagnostics()} | ({"takes_back": True} if recorded else {})
    return AuditEvent(act, actor, thing, outcome, detail)


def newest(
    folder: Path, holding: bytes = b"", before: Mapping[int, int] | None = None, without: bytes = b""
) -> Iterator[dict[str, Any]]:
    """Every event whose line holds some bytes, and not others, the newest first, read only as far as the caller goes;
    of each lane that `before` names, only those below that number."""
    ends = dict(before or {})
    lanes: dict[int, list[Segment]] = {}
    for segment in segments(folder):
        lanes.setdefault(segment.lane, []).append(segment)
    streams = [_backwards(mine, holding, without, ends.get(lane)) for lane, mine in lanes.items()]
    return heapq.merge(*streams, key=lambda event: (-event["micros"], -event["lane"], -event["seq"]))


def _backwards(mine: list[Segment], holding: bytes, without: bytes, end: int | None) -> Iterator[dict[str, Any]]:
    for segment in reversed(mine):
        for line in lines_backwards(segment.path):
            if holding not in line or (without and without in line):
                continue
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if end is None or event["seq"] < end:
                    yield event


def lines_backwards(path: Path) -> Iterator[bytes]:
    """A file's whole lines from its end; a last one without a newline is being written, and is left out."""
    with failures_named(path, "the audit log cannot be read"), path.open("rb") as file:
        at = file.seek(0, os.SEEK_END)
        rest: list[bytes] = []
        whole = False
        while at > 0:
            step = min(_BLOCK, at)
            at -= step
            file.seek(at)
            first, *lines = (file.read(step)).split(b"\n")
            if lines:
                last = lines.pop() + b"".join(reversed(rest))
                if whole and last:
                    yield last
                yield from reversed([line for line in lines if line])
                rest, whole = [first], True
            else:
                rest.append(first)
        if whole and (line := b"".join(reversed(rest))):
            yield line


def begins(folder: Path) -> str:
    """When the first event that is still in the log was; "" for an empty one."""
    times = []
    for segment in segments(folder):
        with failures_named(segment.path, "the audit log cannot be read"), segment.path.open("rb") as file:
            line = file.readline()
        with contextlib.suppress(ValueError, KeyError):
            times.append(str(json.loads(line)["time"]))
    return min(times, default="")


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
