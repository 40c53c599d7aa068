"""Checkpoints: the station signs where every lane of its audit log stands, so that a cut end is seen."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from appliance import clock, limits
from appliance.config import load_config
from appliance.observe.lanes import last_event, lines_backwards
from appliance.paths import StationPaths
from bundles.audit_found import Verified
from bundles.audit_log import (
    CHECKPOINTS,
    Checkpoint,
    LaneHead,
    checkpoint_line,
    hash_of,
    head_name,
    origin_digest,
    payload_of,
    read_checkpoint,
    segments,
    verify,
)
from bundles.errors import FailedError, LockgateError
from bundles.files import failures_named, own_as_folder, sync_folder
from bundles.signing.keys import PUBLIC_SUFFIX, PrivateKey, PublicKey, load_private, load_public

_log: Final = logging.getLogger(__name__)
_TAIL: Final = 64 * 1024


def audit_key(paths: StationPaths) -> PrivateKey:
    """The station's audit key, which signs nothing else."""
    return load_private(paths.keys / "audit.pem", None)


def checkpoint(paths: StationPaths, origin: str = "") -> str:
    """Sign where the log stands; where nothing was added since the last checkpoint, that one stands. Returns the head.

    `origin`: the sha256 of an origin.json that is about to be written. Each checkpoint hands on the one before's, so
    that a file exchanged since is not signed. Only the end of the checkpoints' file is read.
    Raises FailedError where the last checkpoint is not this station's: the log is then to be looked at.
    """
    site, key = load_config(paths.config).site, audit_key(paths)
    with _turn(paths.audit):
        lanes = lane_heads(paths.audit)
        line, size = _end(paths.audit / CHECKPOINTS)
        last = None if line is None else _read(paths, line, key.public, site)
        origin = origin or (last.origin if last is not None else "") or origin_digest(paths.origin)
        if line is not None and last is not None and (last.lanes, last.origin) == (lanes, origin):
            return head_name(last.number, line)
        made = Checkpoint(
            site=site,
            number=1 if last is None else last.number + 1,
            previous=None if line is None else hash_of(line),
            created=clock.now(),
            lanes=lanes,
            origin=origin,
        )
        line = checkpoint_line(made, key.public.keyid, key.sign(payload_of(made)))
        _append(paths.audit / CHECKPOINTS, size, line)
        return head_name(made.number, line)


def signed_origin(paths: StationPaths, site: str) -> str:
    """The sha256 of the origin.json that the last checkpoint names; "" where there is none, or it names none.

    Raises FailedError where it is not this station's.
    """
    line, _ = _end(paths.audit / CHECKPOINTS)
    return "" if line is None else _read(paths, line, audit_key(paths).public, site).origin


def _read(paths: StationPaths, line: bytes, key: PublicKey, site: str) -> Checkpoint:
    try:
        return read_checkpoint(line, key, site)
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
    with failures_named(path, "the audit log cannot be read"), path.open("rb") as file:
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


def last_checkpoint(folder: Path) -> dict[str, Any]:
    """The newest checkpoint: {head, created, events}; before the first, {"head": "", "created": None, "events": 0}.

    Only the file's end is read: a station asks for it at every look.
    """
    path = folder / CHECKPOINTS
    line = next(lines_backwards(path), None) if path.exists() else None
    said = None if line is None else _said(line)
    if line is None or said is None:
        return {"head": "", "created": None, "events": 0}
    return {
        "head": head_name(said["number"], line + b"\n"),
        "created": said["created"],
        "events": sum(lane["seq"] for lane in said["lanes"]),
    }


def _said(line: bytes) -> dict[str, Any] | None:
    """What a checkpoint's line says, unverified; None where it is damaged, which `audit verify` tells of."""
    try:
        said = json.loads(line)["checkpoint"]
        return said if {"number", "created", "lanes"} <= set(said) else None
    except (ValueError, TypeError, KeyError):
        return None


def verify_log(paths: StationPaths, site: str, expect_head: str = "") -> Verified:
    """Look at the whole log of a station that may be writing it, and at what its checkpoints say of its folder.

    Raises FailedError where a file cannot be read.
    """
    key = load_public(paths.keys / f"audit{PUBLIC_SUFFIX}")
    return verify(paths.audit, key, site, expect_head, live=True, origin=paths.origin)


def sign_end(paths: StationPaths) -> None:
    """Sign where the log stands when a station has ended; a failure is logged."""
    _try(paths)


async def keep_signing(paths: StationPaths) -> None:
    """Sign a checkpoint now and then, until cancelled, and once more at the end."""
    try:
        while True:
            await asyncio.to_thread(_try, paths)
            await asyncio.sleep(limits.AUDIT_CHECKPOINT)
    finally:
        _try(paths)


def _try(paths: StationPaths) -> None:
    try:
        checkpoint(paths)
    except LockgateError as error:
        _log.error("%s", error.diagnostics())


def lane_heads(folder: Path) -> list[LaneHead]:
    """Every lane's last event, which is on the disk when this returns."""
    newest = {segment.lane: segment for segment in segments(folder)}
    found = []
    for lane, segment in sorted(newest.items()):
        seq, head = last_event(segment.path)
        if not seq and segment.number > 1:
            seq, head = last_event(segment.path.with_name(f"{lane:02}.{segment.number - 1:06}.jsonl"))
        if seq:
            found.append(LaneHead(lane=lane, seq=seq, head=head))
    return found


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
