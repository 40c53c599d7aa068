"""Acts are in the audit log before they are done: what cannot be recorded does not happen."""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.audit.acts import COVERED, Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.port import AuditPort, Covering, FileAudit
from appliance.paths import StationPaths
from appliance.store.epoch import tell_of_files
from appliance.store.writes.write import LostAnswerError, under_event
from bundles.errors import FailedError, LockgateError


@contextmanager
def recording(audit: AuditPort, event: AuditEvent) -> Iterator[None]:
    """Record an act, then let it happen: the one way to submit a write or to change a file.

    Raises FailedError, with nothing done, where the log cannot be written. An act that then fails is recorded as that,
    and takes the event back, unless it may have happened all the same.
    """
    audit.record(event)
    try:
        with under_event():
            yield
    except Exception as error:
        audit.record(_undone(event, error))
        raise
    finally:
        cover(audit, event)


@asynccontextmanager
async def recording_async(record: Callable[[AuditEvent], Awaitable[None]], event: AuditEvent) -> AsyncIterator[None]:
    """`recording`, for coroutines."""
    await record(event)
    try:
        with under_event():
            yield
    except Exception as error:
        await record(_undone(event, error))
        raise


def cover(audit: AuditPort, event: AuditEvent) -> None:
    """After an act that matters (appliance.audit.acts.COVERED), sign where the log stands, so that its event cannot
    be cut off unseen."""
    if event.act in COVERED and isinstance(audit, Covering):
        audit.cover()


def _undone(event: AuditEvent, error: Exception) -> AuditEvent:
    said = error if isinstance(error, LockgateError) else FailedError(f"it failed inside ({type(error).__name__})")
    undone = refusal(event.act, event.actor, event.thing, said, recorded=not isinstance(error, LostAnswerError))
    if "keyid" not in event.detail:
        return undone
    # Several people decide about a bundle at once: the key says which decision did not happen.
    return replace(undone, detail={**undone.detail, "keyid": event.detail["keyid"]})


@contextmanager
def recorded(station: Path, act: Act, thing: str, detail: Mapping[str, Any]) -> Iterator[None]:
    """`recording` in the log of the station in a folder, by whoever runs this process. Processes of the station that
    rest on the folder's files hear of it once it is done (appliance.store.epoch)."""
    paths = StationPaths(station)
    try:
        with recording(FileAudit(paths.audit), AuditEvent(act, actor(), thing, "done", detail)):
            yield
    finally:
        tell_of_files(paths.database)


def actor() -> str:
    """Who runs this process: `name(uid)`, as the control API names its callers."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "uid"
    return f"{name}({uid})"
