"""The one port every act goes to, and its adapters: an append-only file, and a list for tests."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from appliance import clock
from bundles.errors import LockgateError
from bundles.files import failures_named

Outcome = Literal["done", "refused", "failed"]
FILE: Final = "events.jsonl"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who (`actor`) did what (`act`) to which thing, and how it ended; `detail` is plain JSON data."""

    act: str
    actor: str
    thing: str
    outcome: Outcome = "done"
    detail: Mapping[str, Any] = field(default_factory=dict)


class AuditPort(Protocol):
    """Takes events, one verb."""

    def record(self, event: AuditEvent) -> None:
        """Keep the event; durable on return. Raises FailedError where it cannot: the act must then not happen."""
        ...


class FileAudit:
    """One JSON line an event, appended in one write and synced, so that lines of several processes never mix."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def record(self, event: AuditEvent) -> None:
        """As AuditPort.record."""
        line = {
            "time": clock.now(),
            "pid": os.getpid(),
            "act": event.act,
            "actor": event.actor,
            "thing": event.thing,
            "outcome": event.outcome,
            "detail": dict(event.detail),
        }
        with failures_named(self._path, "the audit log cannot be written"):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, (json.dumps(line, sort_keys=True) + "\n").encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


class MemoryAudit:
    """Keeps events in a list, for unit tests."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def record(self, event: AuditEvent) -> None:
        """As AuditPort.record."""
        self.events.append(event)


def refusal(act: str, actor: str, thing: str, error: LockgateError) -> AuditEvent:
    """The event of an act that was refused (exit 3) or failed."""
    outcome: Outcome = "refused" if error.exit_status == 3 else "failed"
    return AuditEvent(act, actor, thing, outcome, {"reason": error.diagnostics()})


def tail(folder: Path, limit: int) -> list[dict[str, Any]]:
    """The newest events, oldest first, each as its JSON object."""
    path = folder / FILE
    if not path.exists():
        return []
    with path.open("rb") as file:
        lines = file.readlines()[-limit:]
    return [json.loads(line) for line in lines if line.endswith(b"\n")]
