"""The audit log's format, and what finds a change in it (docs/internals/audit-log.md). Files and cryptography alone.

| path | holds |
|---|---|
| `lanes/NN.NNNNNN.jsonl` | a lane's segments: an event a line, as compact JSON |
| `checkpoints.jsonl` | signed statements of every lane's last event, a line each |

Each event names its lane, its number in it from 1 without a gap, and `prev`: the sha256 of the bytes of the line
before it, newline and all (64 zeros for the first). A checkpoint names every lane's last number and that line's
sha256, and the checkpoint before it, and is signed by the station's audit key. So an event that was edited, removed,
inserted or moved breaks its lane's chain; a lane that lost its end or was written anew from some event on disagrees
with a checkpoint; and a log that lost its last checkpoints too does not hold the head that somebody wrote down.

From the first checkpoint that says `sealed`, each event also carries `mac` (bundles.documents.audit_seal): whoever
holds the audit key's private part sees which events the station did not write.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bundles import limits
from bundles.documents.audit_checkpoint import Checkpoint, read_checkpoint, read_signed
from bundles.documents.audit_cut import Cut, cuts_of, strays
from bundles.documents.audit_findings import GENESIS, MAC_MISSING, MAC_WRONG, REFUSED, SEAL_LOST, Lane, LogFindings
from bundles.documents.audit_seal import MAC, Seals, read_sealed
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.io import strict_json
from bundles.io.files import failures_named, open_regular, read_small
from bundles.signing.keys import PublicKey

LANES: Final = "lanes"
CHECKPOINTS: Final = "checkpoints.jsonl"
PRUNED: Final = "audit.prune"
"""The act whose event says where a lane begins after its oldest segments were exported and taken away."""

_SEGMENT: Final = re.compile(r"(\d{2})\.(\d{6})\.jsonl\Z")
_HEAD: Final = re.compile(r"([1-9][0-9]{0,15})-([0-9a-f]{64})\Z")
_FIELDS: Final = frozenset(
    ("act", "actor", "detail", "lane", "micros", "outcome", "pid", "prev", "seq", "thing", "time")
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A lane's file."""

    lane: int
    number: int
    path: Path


def segment_name(lane: int, number: int) -> str:
    """A segment's file name."""
    return f"{lane:02}.{number:06}.jsonl"


def segments(folder: Path) -> list[Segment]:
    """Every segment of a log, by lane and number."""
    lanes = folder / LANES
    if not lanes.is_dir():
        return []
    with failures_named(lanes, "the audit log cannot be read"):
        matches = [(entry, _SEGMENT.match(entry.name)) for entry in os.scandir(lanes)]
    return sorted(
        (Segment(int(match[1]), int(match[2]), Path(entry.path)) for entry, match in matches if match is not None),
        key=lambda segment: (segment.lane, segment.number),
    )


def line_of(fields: dict[str, Any]) -> bytes:
    """An event's line. ASCII, so that grep finds what it holds; a slip in `detail` is shown as text, never lost."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), default=str).encode() + b"\n"


def hash_of(line: bytes) -> str:
    """What the next event's `prev` says of a line."""
    return hashlib.sha256(line).hexdigest()


def head_name(number: int, line: bytes) -> str:
    """How a checkpoint is written down on paper: its number and the sha256 of its line."""
    return f"{number}-{hash_of(line)}"


def is_head(text: str) -> bool:
    """Whether a text is a head, as NUMBER-SHA256."""
    return _HEAD.match(text) is not None


def check_head(text: str) -> str:
    """A head as it was written down. Raises UsageError."""
    if not is_head(text):
        raise UsageError("not a head of an audit log", thing=repr(text)[:90], remedy="write it as NUMBER-SHA256")
    return text


def lines_of(path: Path) -> Iterator[bytes]:
    """A file's lines with their newlines; a last one without is given as it is. Raises LockgateError."""
    with os.fdopen(open_regular(path), "rb") as file, failures_named(path, "the audit log cannot be read"):
        while line := file.readline(limits.AUDIT_LINE + 1):
            yield line


def verify(
    folder: Path,
    key: PublicKey,
    site: str,
    expect_head: str = "",
    *,
    live: bool = False,
    origin: Path | None = None,
    seals: Seals | None = None,
) -> LogFindings:
    """Look at every event and every checkpoint of a log.

    `live`: a station may be writing it, so that a last line without its newline is one that is being written. `origin`
    is the station's origin.json, which must be the one that the last checkpoint names. `seals` are the station's MAC
    keys; without them it is asked only that each event has a MAC where it must.
    Raises FailedError where a file cannot be read; whatever is wrong in what was read is in `findings`.
    """
    if expect_head:
        check_head(expect_head)
    found = LogFindings()
    # The checkpoints first: while a station writes, the lanes then hold at least what these say.
    keys = [*_former(folder, key, site), key]
    checkpoints = _read_checkpoints(folder, keys, site, found, live=live)
    wanted: dict[int, set[int]] = {}
    for checkpoint in checkpoints:
        for lane_head in checkpoint.lanes:
            wanted.setdefault(lane_head.lane, set()).add(lane_head.seq)
    lanes: dict[int, Lane] = {}
    prunes: list[dict[str, Any]] = []
    starts = sealed_from(checkpoints)
    missing = len(checkpoints[-1].former) - len(seals.keys) + 1 if checkpoints and seals is not None else 0
    strict = {lane.lane: lane.sealed for lane in checkpoints[-1].lanes} if missing > 0 else {}
    for segment in segments(folder):
        lane = lanes.setdefault(segment.lane, Lane())
        lane.sealed = None if starts is None else starts.get(segment.lane, 1)
        lane.checked = strict.get(segment.lane, 1)
        _read_segment(segment, lane, wanted, prunes, found, live=live, seals=seals)
    if checkpoints and starts is None and any(lane.macs for lane in lanes.values()):
        found.find(CHECKPOINTS, 0, "events carry MACs and no checkpoint says so: checkpoints were removed", SEAL_LOST)
    for name in strays(folder, everything=live):
        found.find(name, 0, "a file that is no part of the log")
    found.lanes = len(lanes)
    if not found.events:
        found.find(LANES, 0, "there is no event")
    cuts = _check_beginnings(lanes, prunes, keys, site, found)
    if origin is not None:
        _check_origin(origin, checkpoints, cuts, found)
    _compare(checkpoints, lanes, found)
    _check_ends(checkpoints[-1] if checkpoints else None, lanes, found)
    heads = _heads(folder)
    found.head = heads[-1] if heads else ""
    if not checkpoints:
        found.find(CHECKPOINTS, 0, "there is no checkpoint")
    if expect_head and expect_head not in heads:
        found.find(CHECKPOINTS, 0, f"the log's end was cut: it does not hold the head {expect_head}")
    return found


def _check_ends(last: Checkpoint | None, lanes: dict[int, Lane], found: LogFindings) -> None:
    """What the last checkpoint covers, what it refused to sign, and lanes that it should know."""
    signed = {head.lane: head.seq for head in last.lanes} if last is not None else {}
    found.covered = sum(signed.values())
    found.uncovered = sum(max(0, lane.seq - signed.get(number, 0)) for number, lane in lanes.items())
    if last is None:
        return
    for refused in last.refused:
        lane = lanes.get(refused.lane)
        if lane is not None and (not refused.seq or lane.seq > refused.seq):
            said = f"the station does not vouch for lane {refused.lane:02} behind event {refused.seq} ({refused.code})"
            found.find(refused.file, 0, said, REFUSED, refused.lane)
    for number, lane in lanes.items():
        if number not in signed and lane.since < last.created:
            found.find(f"lane {number:02}", 0, f"it begins at {lane.since}, and no checkpoint since knows it")


def sealed_from(checkpoints: list[Checkpoint]) -> dict[int, int] | None:
    """From which event on each lane's carry MACs, by what checkpoints say; a lane that is not named is sealed from its
    first. None where no checkpoint says so."""
    signed = [checkpoint for checkpoint in checkpoints if checkpoint.sealed]
    starts: dict[int, int] = {}
    for checkpoint in signed:
        for lane in checkpoint.lanes:
            starts.setdefault(lane.lane, lane.sealed)
    return starts if signed else None


def _check_beginnings(
    lanes: dict[int, Lane], prunes: list[dict[str, Any]], keys: list[PublicKey], site: str, found: LogFindings
) -> list[Cut]:
    """Every lane begins with its first event, or where a cut signed by the audit key says, with a whole segment.
    Returns the signed cuts."""
    signed, unsigned = cuts_of(prunes, keys, site)
    cuts = {(lane.lane, lane.first): lane for cut in signed for lane in cut.lanes}
    for why in unsigned:
        found.find(LANES, 0, why)
    for number, lane in lanes.items():
        if lane.first <= 1 and lane.begins is None:
            continue
        begins, cut = lane.begins or (1, GENESIS), cuts.get((number, lane.first))
        if cut is None or (cut.from_, cut.prev) != begins:
            found.find(f"lane {number:02}", 0, f"the events before {begins[0]} were removed, and no signed cut says so")
        else:
            lane.cut = (cut.from_ - 1, cut.prev)
    return signed


def _check_origin(path: Path, checkpoints: list[Checkpoint], cuts: list[Cut], found: LogFindings) -> None:
    """The station's origin.json is the one that the last checkpoint names, and each cut names one that a checkpoint
    named."""
    named = {checkpoint.origin for checkpoint in checkpoints} | {""}
    if any(cut.origin not in named for cut in cuts):
        found.find(CHECKPOINTS, 0, "a cut names an origin.json that no checkpoint knows: checkpoints were removed")
    said = checkpoints[-1].origin if checkpoints else next((cut.origin for cut in cuts if cut.origin), "")
    if said and origin_digest(path) != said:
        here = path.exists() or path.is_symlink()
        found.find(path.name, 0, "it is not the one that the last checkpoint names" if here else "it is missing")


def origin_digest(path: Path) -> str:
    """The sha256 of a station's origin.json as hex; "" where there is none that can be read."""
    try:
        return hash_of(read_small(path, limits.KEY_FILE))
    except (LockgateError, OSError):
        return ""


def _heads(folder: Path) -> list[str]:
    path = folder / CHECKPOINTS
    if not path.exists():
        return []
    return [head_name(number, line) for number, line in enumerate(lines_of(path), 1) if line.endswith(b"\n")]


def _former(folder: Path, key: PublicKey, site: str) -> list[PublicKey]:
    """The audit keys before this one, the oldest first, by what the last checkpoint says that it signed."""
    path = folder / CHECKPOINTS
    last = b""
    if path.exists():
        for line in lines_of(path):
            last = line if line.endswith(b"\n") else last
    try:
        return read_checkpoint(last, [key], site).former_keys()
    except MalformedError:
        return []


def _read_checkpoints(
    folder: Path, keys: list[PublicKey], site: str, found: LogFindings, *, live: bool
) -> list[Checkpoint]:
    path = folder / CHECKPOINTS
    checkpoints: list[Checkpoint] = []
    if not path.exists():
        return checkpoints
    previous: str | None = None
    turn = 0
    for number, line in enumerate(lines_of(path), 1):
        if not line.endswith(b"\n"):
            if not live:
                found.find(CHECKPOINTS, number, "the line is cut off")
            break
        try:
            checkpoint, signer = read_signed(line, keys, site)
            if keys.index(signer) < turn:
                found.find(CHECKPOINTS, number, "a checkpoint of a former key behind one of its successor")
            turn = max(turn, keys.index(signer))
            if (checkpoint.number, checkpoint.previous) != (number, previous):
                found.find(CHECKPOINTS, number, "a checkpoint was removed, inserted or moved before this one")
            checkpoints.append(checkpoint)
        except LockgateError as error:
            found.find(CHECKPOINTS, number, error.diagnostics())
        previous = hash_of(line)
        found.checkpoints = number
    return checkpoints


def _read_segment(
    segment: Segment, lane: Lane, wanted: dict[int, set[int]], prunes: list[dict[str, Any]], found: LogFindings,
    *, live: bool, seals: Seals | None,
) -> None:  # fmt: skip
    name = segment.path.name
    if lane.number and segment.number != lane.number + 1:
        found.find(name, 0, f"the segment before it is not {lane.number:06}: one was removed")
    lane.first = lane.first or segment.number
    lane.number = segment.number
    asked = wanted.get(segment.lane, set())
    try:
        descriptor = open_regular(segment.path, ceiling=limits.AUDIT_SEGMENT)
    except RefusedError as error:
        found.find(name, 0, f"it is no segment as a station writes it ({error.what})")
        return
    with os.fdopen(descriptor, "rb") as file, failures_named(segment.path, "the audit log cannot be read"):
        for number, line in enumerate(iter(lambda: file.readline(limits.AUDIT_LINE + 1), b""), 1):
            if not line.endswith(b"\n"):
                if not live or len(line) > limits.AUDIT_LINE:
                    found.find(name, number, "the line is cut off")
                break
            _read_line(line, number, segment, lane, asked, prunes, found, seals)


def _read_line(
    line: bytes, number: int, segment: Segment, lane: Lane, asked: set[int], prunes: list[dict[str, Any]],
    found: LogFindings, seals: Seals | None,
) -> None:  # fmt: skip
    name = segment.path.name
    fields = _event(line)
    if fields is None:
        found.find(name, number, "not an event as a station writes it: it was edited")
        lane.seq, lane.head = lane.seq + 1, hash_of(line)
        return
    seq = fields["seq"]
    if fields["lane"] != segment.lane:
        found.find(name, number, f"an event of lane {fields['lane']:02}")
    if lane.seq == 0 and seq > 1 and lane.begins is None:
        lane.begins = (seq, fields["prev"])
    elif seq != lane.seq + 1:
        found.find(name, number, f"event {seq} follows event {lane.seq}: events were removed, inserted or moved")
    elif fields["prev"] != lane.head:
        found.find(name, number, f"event {lane.seq} before it was edited")
    lane.seq, lane.head = seq, hash_of(line)
    lane.macs = lane.macs or MAC in fields
    if lane.sealed is not None and (seq >= lane.sealed or MAC in fields):
        if MAC not in fields:
            found.find(name, number, "the station did not write this event: it has no MAC", MAC_MISSING, segment.lane)
        elif seals is not None and seq >= lane.checked and not seals.hold(read_sealed(line)):
            found.find(name, number, "the station did not write this event: its MAC is wrong", MAC_WRONG, segment.lane)
    if seq in asked:
        lane.hashes[seq] = lane.head
    if fields["act"] == PRUNED and fields["outcome"] == "done":
        prunes.append(fields["detail"])
    if wrong := lane.pass_time(fields, found):
        found.find(name, number, wrong)
    found.events += 1
    found.first = min(found.first or fields["time"], fields["time"])
    found.last = max(found.last, fields["time"])


def _event(line: bytes) -> dict[str, Any] | None:
    """A line's fields, where they are an event's in the one form a station writes."""
    try:
        if len(line) > limits.AUDIT_LINE_NODES:  # a line has no more nodes than bytes
            strict_json.check_structure(line, nodes=limits.AUDIT_LINE_NODES, what="the event")
        fields = json.loads(line)
    except (MalformedError, ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or set(fields) - {MAC} != _FIELDS or not isinstance(fields["detail"], dict):
        return None
    numbers = all(type(fields[name]) is int for name in ("seq", "lane", "pid", "micros"))
    texts = all(isinstance(fields[name], str) for name in ("act", "actor", "outcome", "prev", "thing", "time"))
    if not isinstance(fields.get(MAC, ""), str):
        return None
    return fields if numbers and texts and line_of(fields) == line else None


def _compare(checkpoints: list[Checkpoint], lanes: dict[int, Lane], found: LogFindings) -> None:
    """Every lane against what checkpoints said of it; what lies before a lane's beginning cannot be asked."""
    for number, checkpoint in enumerate(checkpoints, 1):
        for said in checkpoint.lanes:
            lane = lanes.get(said.lane, Lane())
            if lane.begins is not None and said.seq < lane.begins[0]:
                if lane.cut is not None and said.seq == lane.cut[0] and said.head != lane.cut[1]:
                    found.find(
                        f"lane {said.lane:02}", 0, f"the cut's last event is not the one checkpoint {number} saw"
                    )
                continue
            seen = lane.hashes.get(said.seq)
            if seen is None:
                found.find(
                    f"lane {said.lane:02}", 0,
                    f"it ends at event {lane.seq}; checkpoint {number} saw event {said.seq}: its end was cut",
                )  # fmt: skip
            elif seen != said.head:
                found.find(f"lane {said.lane:02}", 0, f"event {said.seq} is not the one checkpoint {number} saw")


def checkpoint_lines(folder: Path) -> list[bytes]:
    """The whole lines of the checkpoints' file."""
    path = folder / CHECKPOINTS
    return [line for line in lines_of(path) if line.endswith(b"\n")] if path.exists() else []


def site_of(folder: Path, key: PublicKey) -> str:
    """The site that the last checkpoint names, where its signature by the key holds; else ""."""
    lines = checkpoint_lines(folder)
    try:
        site = str(json.loads(lines[-1])["checkpoint"]["site"])
        read_signed(lines[-1], [key], site)
    except (LockgateError, LookupError, TypeError, ValueError, RecursionError):
        return ""
    return site
