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
from appliance.observe.audit import lines_backwards
from appliance.observe.lanes import last_event
from appliance.paths import StationPaths
from bundles.audit_log import (
    CHECKPOINTS,
    Checkpoint,
    LaneHead,
    checkpoint_line,
    checkpoint_lines,
    hash_of,
    head_name,
    payload_of,
    read_checkpoint,
    segments,
)
from bundles.errors import FailedError, LockgateError
from bundles.files import failures_named, own_as_folder, sync_folder
from bundles.signing.keys import PrivateKey, load_private

_log: Final = logging.getLogger(__name__)


def audit_key(paths: StationPaths) -> PrivateKey:
    """The station's audit key, which signs nothing else."""
    return load_private(paths.keys / "audit.pem", None)


def checkpoint(paths: StationPaths) -> str:
    """Sign where the log stands; where nothing was added since the last checkpoint, that one stands. Returns the head.

    Raises FailedError where the last checkpoint is not this station's: the log is then to be looked at.
    """
    site, key = load_config(paths.config).site, audit_key(paths)
    with _turn(paths.audit):
        lines = checkpoint_lines(paths.audit)
        lanes = lane_heads(paths.audit)
        if lines:
            try:
                last = read_checkpoint(lines[-1], key.public, site)
            except LockgateError as error:
                raise FailedError(
                    f"the audit log's last checkpoint is not this station's ({error.what})",
                    thing=str(paths.audit / CHECKPOINTS),
                    remedy="see: lockgate audit verify",
                ) from None
            if last.lanes == lanes:
                return head_name(last.number, lines[-1])
        made = Checkpoint(
            site=site,
            number=len(lines) + 1,
            previous=hash_of(lines[-1]) if lines else None,
            created=clock.now(),
            lanes=lanes,
        )
        line = checkpoint_line(made, key.public.keyid, key.sign(payload_of(made)))
        _append(paths.audit / CHECKPOINTS, sum(map(len, lines)), line)
        return head_name(made.number, line)


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
