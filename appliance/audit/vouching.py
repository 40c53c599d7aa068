"""How far the station vouches for each lane of its audit log: what is signed by a checkpoint, and what is refused.

What is behind the last checkpoint is read from the lanes' ends. An event is signed where its MAC is right and it
follows, without a gap, from the last one that was signed; the first line that is anything else ends it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from appliance.audit.lane import last_event, lines_backwards
from appliance.audit.seals import prev_of
from appliance.limits import audit as limits
from bundles import limits as bundle_limits
from bundles.documents.audit_checkpoint import Checkpoint, LaneHead, RefusedLane
from bundles.documents.audit_findings import BROKEN, GENESIS, MAC_MISSING, MAC_WRONG
from bundles.documents.audit_log import Segment, hash_of, segments
from bundles.documents.audit_seal import Seals, read_sealed
from bundles.errors import RefusedError
from bundles.io.files import failures_named, open_regular


def vouch(
    folder: Path, last: Checkpoint | None, seals: Seals, *, anew: bool = False
) -> tuple[list[LaneHead], list[RefusedLane]]:
    """Each lane's last event that may be signed, which is on the disk when this returns, and the lanes that hold
    something else behind it. `anew`: another audit key seals what follows. Raises FailedError where a lane cannot be
    read."""
    lanes: dict[int, list[Segment]] = defaultdict(list)
    for segment in segments(folder):
        lanes[segment.lane].append(segment)
    known = {lane.lane: lane for lane in last.lanes} if last is not None else {}
    is_old = (last is None or not last.sealed) and not has_mac(folder, last, seals)
    heads, refused = [], []
    for lane in sorted(set(lanes) | set(known)):
        head, said = known.get(lane), lanes.get(lane, [])
        found = _of_earlier_version(lane, said, head) if is_old else _Walk(lane, said, head, seals).result()
        if found.seq:
            sealed = found.seq + 1 if anew else found.sealed
            heads.append(LaneHead(lane=lane, seq=found.seq, head=found.head, sealed=sealed))
        if found.code:
            refused.append(RefusedLane(lane=lane, seq=found.seq, code=found.code, file=found.file))
    return heads, refused


def has_mac(folder: Path, last: Checkpoint | None, seals: Seals) -> bool:
    """Whether an event behind the last checkpoint carries a right MAC: then the log is none of an earlier version."""
    signed = {lane.lane: lane.head for lane in last.lanes} if last is not None else {}
    done: set[int] = set()
    for segment in reversed(segments(folder)):
        if segment.lane in done:
            continue
        try:
            for line in lines_backwards(segment.path, ceiling=bundle_limits.AUDIT_SEGMENT):
                if hash_of(line + b"\n") == signed.get(segment.lane):
                    done.add(segment.lane)
                    break
                if seals.hold(read_sealed(line + b"\n")):
                    return True
        except RefusedError:
            continue
    return False


@dataclass(frozen=True, slots=True)
class _Found:
    """Up to where a lane is signed, and what ended it ("" for its end)."""

    seq: int
    head: str
    sealed: int
    code: str = ""
    file: str = ""


class _Walk:
    """A lane read from its end back to the last event that a checkpoint signed."""

    def __init__(self, lane: int, segments: list[Segment], known: LaneHead | None, seals: Seals) -> None:
        self._lane, self._segments, self._seals = lane, segments, seals
        self._seq, self._head = (known.seq, known.head) if known is not None else (0, GENESIS)
        # A lane of a log that was sealed since, and whose checkpoint is gone: its events carry MACs from here on.
        self._sealed = (known.sealed or known.seq + 1) if known is not None else 1
        self._end: tuple[int, str] | None = None
        self._next: tuple[int, str] = (0, "")  # the number of the oldest event of the good run, and its prev
        self._code = self._file = ""
        self._bad = 0
        self._before = ""

    def result(self) -> _Found:
        """Up to where the lane may be signed."""
        if not self._reaches():
            self._end, self._code = None, BROKEN
            self._file = self._file or f"lane {self._lane:02}"
        seq, head = self._end or (self._seq, self._head)
        return _Found(seq, head, self._sealed, self._code, self._file)

    def _reaches(self) -> bool:
        """Whether the lane goes back to the last signed event."""
        follows: int | None = None
        for segment in reversed(self._segments):
            self._file_now = segment.path.name
            if follows is not None and segment.number != follows - 1:
                return False
            follows = segment.number
            try:
                _sync(segment.path)
                for line in lines_backwards(segment.path, ceiling=bundle_limits.AUDIT_SEGMENT):
                    if (ends := self._take(line + b"\n")) is not None:
                        return ends
            except RefusedError:
                return self._no(self._file_now)
        if self._seq:
            return bool(self._before)
        return self._end is None or self._next == (1, GENESIS)

    def _no(self, file: str) -> bool:
        self._file = file
        return False

    def _take(self, line: bytes) -> bool | None:
        """Go back by a line; whether the last signed event was reached, None to go on."""
        head = hash_of(line)
        if self._before:  # the last signed event was reached, and this is the line in front of it
            if head != self._before:
                self._break(BROKEN)
            return True
        if self._seq and head == self._head:
            if self._end is not None and self._next != (self._seq + 1, head):
                self._break(BROKEN)
            self._before = prev_of(line)
            return None
        sealed = read_sealed(line)
        if sealed is None or sealed.lane != self._lane or not self._seals.hold(sealed):
            self._break(MAC_MISSING if sealed is None else MAC_WRONG)
            self._bad += len(line)
            return False if self._bad > limits.AUDIT_FOREIGN else None
        if sealed.seq <= self._seq:
            return self._no(self._file_now)
        if self._end is None:
            self._end = (sealed.seq, head)
        elif self._next != (sealed.seq + 1, head):
            self._break(BROKEN)
            self._end = (sealed.seq, head)
        self._next = (sealed.seq, sealed.prev)
        return None

    def _break(self, code: str) -> None:
        """What is newer than this line does not follow from it."""
        self._end, self._code, self._file = None, code, self._file_now


def _of_earlier_version(lane: int, segments: list[Segment], known: LaneHead | None) -> _Found:
    """A lane without MACs, which is signed as it stands: a log of an earlier version."""
    try:
        for segment in reversed(segments[-2:]):  # the newest may hold no event yet
            _sync(segment.path)
            seq, head = last_event(segment.path)
            if seq:
                return _Found(seq, head, seq + 1)
    except RefusedError:
        known = known or LaneHead(lane=lane, seq=0, head=GENESIS)
    if known is not None:
        return _Found(known.seq, known.head, known.seq + 1, BROKEN, f"lane {lane:02}")
    return _Found(0, GENESIS, 1)


def _sync(path: Path) -> None:
    with failures_named(path, "the audit log cannot be read"), os.fdopen(open_regular(path), "rb") as file:
        os.fsync(file.fileno())
