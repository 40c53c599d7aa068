"""Checkpoints: the station signs where every lane of its audit log stands, so that a cut end is seen."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.audit.lane import leave, lines_backwards
from appliance.audit.noted_head import lost_head, note_head
from appliance.audit.seals import SealedState, audit_key, former_keys, seals_of
from appliance.audit.vouching import has_mac, vouch
from appliance.limits import audit as limits
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from bundles.documents.audit_checkpoint import Checkpoint, checkpoint_line, payload_of, read_checkpoint, read_signed
from bundles.documents.audit_findings import LogFindings
from bundles.documents.audit_log import (
    CHECKPOINTS,
    LANES,
    checkpoint_lines,
    hash_of,
    head_name,
    origin_digest,
    segments,
    verify,
)
from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.io.files import failures_named, open_regular, own_as_folder, sync_folder
from bundles.signing.keys import PublicKey

_log: Final = logging.getLogger(__name__)
_TAIL: Final = 64 * 1024


def checkpoint(paths: StationPaths, origin: str = "", site: str = "") -> str:
    """Sign where the log stands; where nothing was added since the last checkpoint, that one stands. Returns the head.

    Only what the station wrote is signed: a lane with anything else behind the last checkpoint is signed as far as its
    own events go, and the checkpoint names it as refused (appliance.audit.vouching).
    `origin`: the sha256 of an origin.json that is about to be written. Each checkpoint hands on the one before's, so
    that a file exchanged since is not signed. `site`: of a station whose settings are not written yet. Of the
    checkpoints' file the end alone is read, and of each lane what is behind it.
    Raises FailedError where the last checkpoint is not this station's: the log is then to be looked at.
    """
    site, key = site or load_config(paths.config).site, audit_key(paths)
    with _turn(paths.audit):
        line, size = _end(paths.audit / CHECKPOINTS)
        last, former = None, list[str]()
        if line is not None:
            last, signer = _read(paths, line, site)
            former = last.former if signer == key.public else [*last.former, signer.to_pem().decode()]
        lanes, refused = vouch(paths.audit, last, seals_of(paths), anew=last is not None and former != last.former)
        origin = origin or (last.origin if last is not None else "") or origin_digest(paths.origin)
        if line is not None and last is not None and last.sealed and (
            (last.lanes, last.refused, last.origin, last.former) == (lanes, refused, origin, former)
        ):  # fmt: skip
            head = head_name(last.number, line)
            note_head(paths, head)
            return head
        made = Checkpoint(
            site=site,
            number=1 if last is None else last.number + 1,
            previous=None if line is None else hash_of(line),
            created=clock.now(),
            lanes=lanes,
            origin=origin,
            sealed=True,
            refused=refused,
            former=former,
        )
        line = checkpoint_line(made, key.public.keyid, key.sign(payload_of(made)))
        _append(paths.audit / CHECKPOINTS, size, line)
        note_head(paths, head_name(made.number, line))
    leave(paths.audit, [lane.lane for lane in refused])
    for lane in refused:
        _log.error("the audit log's lane %02d is not signed behind event %d (%s): see: lockgate audit verify",
                   lane.lane, lane.seq, lane.code)  # fmt: skip
    return head_name(made.number, line)


def vouched(paths: StationPaths) -> dict[int, int]:
    """The number of the last event of each lane that the next checkpoint would sign. Raises FailedError."""
    line, _ = _end(paths.audit / CHECKPOINTS)
    site = load_config(paths.config).site
    last = None if line is None else _read(paths, line, site)[0]
    return {lane.lane: lane.seq for lane in vouch(paths.audit, last, seals_of(paths))[0]}


def standing_of(paths: StationPaths) -> SealedState:
    """What the last checkpoint says of the log. Where it is not this station's (`damaged` says why), every event must
    carry a MAC.

    Raises FailedError where the audit key cannot be used.
    """
    seals = seals_of(paths)
    try:
        line, _ = _end(paths.audit / CHECKPOINTS)
        if line is None:
            return SealedState(seals, sealed=has_mac(paths.audit, None, seals))
        last, _ = _read(paths, line, load_config(paths.config).site)
    except LockgateError as error:
        return SealedState(seals, sealed=True, damaged=error.diagnostics())
    refused = {lane.lane: lane for lane in last.refused}
    sealed = last.sealed or has_mac(paths.audit, last, seals)
    return SealedState(seals, sealed, {lane.lane: lane for lane in last.lanes}, refused)


def seal_log(paths: StationPaths) -> SealedState:
    """Before a process writes its first event: of a log that an earlier version wrote, sign where it stands, so that
    every event behind that carries a MAC. Returns what the last checkpoint says then."""
    standing = standing_of(paths)
    if not standing.sealed and segments(paths.audit):
        _try(paths)
        standing = standing_of(paths)
    return standing


def signed_origin(paths: StationPaths, site: str) -> str:
    """The sha256 of the origin.json that the last checkpoint names; "" where there is none, or it names none.

    Raises FailedError where it is not this station's.
    """
    line, _ = _end(paths.audit / CHECKPOINTS)
    return "" if line is None else _read(paths, line, site)[0].origin


def public_keys(paths: StationPaths, site: str) -> list[PublicKey]:
    """The station's audit keys: the one that signs, those that a rotation kept, and those that the last checkpoint
    names as former ones. Raises UsageError where there is none."""
    found = [audit_key(paths).public, *(key.public for key in former_keys(paths))]
    with contextlib.suppress(LockgateError):
        line, _ = _end(paths.audit / CHECKPOINTS)
        if line is not None:
            found += read_checkpoint(line, found, site).former_keys()
    return found


def _read(paths: StationPaths, line: bytes, site: str) -> tuple[Checkpoint, PublicKey]:
    """The last checkpoint, and the key that signed it: the audit key, or one before it that a rotation kept."""
    try:
        return read_signed(line, [audit_key(paths).public, *(key.public for key in former_keys(paths))], site)
    except LockgateError as error:
        raise FailedError(
            f"the audit log's last checkpoint is not this station's ({error.what})",
            thing=str(paths.audit / CHECKPOINTS),
            remedy="see: lockgate audit verify",
        ) from None


def _end(path: Path) -> tuple[bytes | None, int]:
    """The last whole line, and the bytes of all whole ones; what a power cut left of another is behind them."""
    if not path.exists():
        return None, 0
    line = next(lines_backwards(path), None)
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file, failures_named(path, "the audit log cannot be read"):
        at = size = file.seek(0, os.SEEK_END)
        while at > 0:
            step = min(_TAIL, at)
            at -= step
            file.seek(at)
            found = file.read(step).rfind(b"\n")
            if found >= 0:
                size = at + found + 1
                break
        else:
            size = 0
    return (None if line is None else line + b"\n"), size


def own_checkpoints(paths: StationPaths) -> list[Checkpoint]:
    """Every checkpoint that this station signed, the oldest first: about 0.2 ms each. Raises FailedError."""
    site = load_config(paths.config).site
    keys = public_keys(paths, site)
    found = list[Checkpoint]()
    for line in checkpoint_lines(paths.audit):
        with contextlib.suppress(LockgateError):
            found.append(read_checkpoint(line, keys, site))
    return found


def last_checkpoint(folder: Path) -> dict[str, Any]:
    """The newest checkpoint: {head, created, events, refused}; `refused` are the lanes that it does not vouch for, as
    {lane, seq, code, file}. Before the first: "", None, 0 and none.

    Only the file's end is read: a station asks for it at every look.
    """
    path = folder / CHECKPOINTS
    try:
        line = next(lines_backwards(path), None) if path.exists() else None
    except RefusedError:  # a link or a pipe in its place, which `audit verify` tells of
        line = None
    said = None if line is None else _said(line)
    if line is None or said is None:
        return {"head": "", "created": None, "events": 0, "refused": []}
    return {
        "head": head_name(said["number"], line + b"\n"),
        "created": said["created"],
        "events": sum(lane["seq"] for lane in said["lanes"]),
        "refused": said.get("refused", []),
    }


def _said(line: bytes) -> dict[str, Any] | None:
    """What a checkpoint's line says, unverified; None where it is damaged, which `audit verify` tells of."""
    try:
        said = json.loads(line)["checkpoint"]
        return said if {"number", "created", "lanes"} <= set(said) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def verify_log(paths: StationPaths, site: str, expect_head: str = "") -> LogFindings:
    """Look at the whole log of a station that may be writing it, at who wrote each event, and at what its checkpoints
    say of its folder.

    Raises FailedError where a file cannot be read.
    """
    if not paths.audit.is_dir():
        raise FailedError(
            "the folder of the audit log is gone", thing=str(paths.audit), remedy="put it back from the newest copy"
        )
    seals = seals_of(paths)
    key = audit_key(paths).public
    found = verify(paths.audit, key, site, expect_head, live=True, origin=paths.origin, seals=seals)
    if lost := lost_head(paths):
        found.find(CHECKPOINTS, 0, f"the log does not hold the head {lost}, which the station signed and noted")
    return found


def sign_end(paths: StationPaths) -> None:
    """Sign where the log stands when a station has ended; a failure is logged."""
    _try(paths)


async def keep_signing(paths: StationPaths) -> None:
    """Sign a checkpoint now and then, until cancelled, and once more at the end; at once where the clock was set back,
    so that what was written before stands before what is written after (appliance.audit.event_order), and where a file
    of the log went, so that status names it."""
    try:
        while True:
            files = await asyncio.to_thread(_files, paths)  # before: what goes while it signs is missed else
            await asyncio.to_thread(_try, paths)
            signed = time.monotonic()
            ahead = time.time() - signed
            while time.monotonic() - signed < limits.AUDIT_CHECKPOINT:
                await asyncio.sleep(limits.AUDIT_CLOCK_LOOK)
                if time.time() - time.monotonic() < ahead - limits.AUDIT_CLOCK_BACK:
                    break
                if files - (now := await asyncio.to_thread(_files, paths)):
                    break
                files = now
    finally:
        _try(paths)


def _files(paths: StationPaths) -> set[tuple[str, int]]:
    """Name and inode of each file that holds events or checkpoints."""
    found = set[tuple[str, int]]()
    for folder in (paths.audit, paths.audit / LANES):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            found |= {(entry.name, entry.inode()) for entry in entries if entry.name.endswith(".jsonl")}
    return found


def _try(paths: StationPaths) -> None:
    try:
        checkpoint(paths)
    except LockgateError as error:
        _log.error("%s", error.diagnostics())


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    path = folder / "checkpoints.lock"
    with failures_named(path, "the audit log cannot be written"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        own_as_folder(descriptor, folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _append(path: Path, size: int, line: bytes) -> None:
    """Add a line behind the `size` bytes of whole ones; what a power cut left of another goes."""
    with failures_named(path, "the audit log cannot be written"):
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            own_as_folder(descriptor, path.parent)
            os.ftruncate(descriptor, size)
            if os.pwrite(descriptor, line, size) < len(line):
                os.ftruncate(descriptor, size)
                raise OSError(28, os.strerror(28))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(path.parent)
