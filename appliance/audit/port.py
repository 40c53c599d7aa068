"""The one port every act goes to, and its adapters: the station's chained log, and a list for tests."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from appliance.audit.acts import FILLING, Act
from appliance.audit.checkpoints import checkpoint, seal_log
from appliance.audit.event import AuditEvent
from appliance.audit.floods import Floods
from appliance.audit.lane import Lane, NotOursError, lane_of
from appliance.audit.seals import SealedState
from appliance.limits import audit as limits
from appliance.paths import StationPaths
from appliance.store.reserve import Reserve
from bundles.documents.audit_seal import Seals, mac_key
from bundles.errors import FailedError, LockgateError, NoSpaceError
from bundles.signing.keys import PrivateKey

_log: Final = logging.getLogger(__name__)


class AuditPort(Protocol):
    """Takes events, one verb."""

    def record(self, event: AuditEvent) -> None:
        """Keep the event; durable on return. Raises FailedError where it cannot: the act must then not happen."""
        ...


@runtime_checkable
class Covering(Protocol):
    """A log that can sign where it stands."""

    def cover(self) -> None:
        """Sign a checkpoint; where that fails, say so and go on: the act has happened, and the next one tries again."""
        ...


class FileAudit:
    """Appends to this process's lane of the log in `folder` (docs/internals/audit-log.md); safe for threads.

    Refusals in great numbers are counted (appliance.audit.floods): an attacker who knocks all night neither fills the
    disk nor hides in a crowd. Where only the reserve of disk is left (appliance.store.reserve) all of them are
    counted, and so are pulls, which go on; what fills the disk fails, and what else was done is recorded with what the
    reserve gives back. The reserve makes room before such an act, for all that the act is going to write. `key` is the
    audit key of a station that is being made, whose folder does not hold it yet.
    """

    def __init__(
        self, folder: Path, key: PrivateKey | None = None, unwritten: Callable[[], object] = lambda: None
    ) -> None:
        """`unwritten` is called for each act that could not be written, one call at a time."""
        self._folder = folder
        self._key = key
        self._unwritten = unwritten
        self._lane: Lane | None = None
        self._reserve = Reserve(StationPaths(folder.parent).reserve)
        self._floods = Floods()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def record(self, event: AuditEvent) -> None:
        """As AuditPort.record."""
        try:
            self._keep(_cut(event))
        except LockgateError:
            with self._lock:
                self._unwritten()
            raise

    def _keep(self, event: AuditEvent) -> None:
        for kept in [event] if event.act is Act.PULL else self._admit(event):
            if kept is event and event.act is not Act.PULL and _must_be_written(event):
                self._append(event)
            else:
                self._append_if_room(kept)

    def cover(self) -> None:
        """As Covering.cover."""
        paths = StationPaths(self._folder.parent)
        try:
            checkpoint(paths)
        except (LockgateError, OSError) as error:
            reason = error.diagnostics() if isinstance(error, LockgateError) else str(error)
            _log.error("no checkpoint could be signed: %s", reason)

    def close(self) -> None:
        """Write out what was only counted so far."""
        with self._lock:
            held = self._floods.drain()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        for event in held:
            self._append_if_room(event)

    def _append_if_room(self, event: AuditEvent) -> None:
        """Write a refusal, a count of refusals or a pull; where no space is left, go on counting."""
        if not self._reserve.in_want():
            try:
                self._append(event)
            except NoSpaceError:
                pass
            else:
                return
        with self._lock:
            self._floods.hold(event, time.monotonic())
            self._count_later()

    def _append(self, event: AuditEvent) -> None:
        fields = {
            "act": str(event.act),
            "actor": event.actor,
            "thing": event.thing,
            "outcome": event.outcome,
            "detail": dict(event.detail),
        }
        if event.act not in FILLING and _must_be_written(event):
            self._reserve.make_room()
        while True:
            try:
                if self._lane is None or self._lane.broken:
                    self._lane = None
                    self._lane = lane_of(self._folder, self._standing())
                return self._lane.append(fields)
            except NotOursError:
                if self._lane is None or not self._lane.is_left:
                    raise
            except NoSpaceError:
                if not _must_be_written(event) or event.act in FILLING or not self._reserve.give_back():
                    raise

    def _standing(self) -> SealedState:
        if self._key is not None:
            return SealedState(Seals((mac_key(self._key),)), sealed=True)
        return seal_log(StationPaths(self._folder.parent))

    def _admit(self, event: AuditEvent) -> list[AuditEvent]:
        """What is to be written now that `event` happened."""
        with self._lock:
            if _must_be_written(event):
                return [*self._floods.forget(event), event]
            found = self._floods.admit(event, time.monotonic())
            self._count_later()
            return found

    def _count_later(self) -> None:
        if self._timer is None and self._floods.holding:
            self._timer = threading.Timer(limits.AUDIT_FLOOD, self._tick)
            self._timer.daemon = True
            self._timer.start()

    def _tick(self) -> None:
        with contextlib.suppress(FailedError):  # the next act meets the same damaged log, and is refused
            self.close()


def _must_be_written(event: AuditEvent) -> bool:
    """Whether the event says what was done, or takes that back; `origin` as AuditEvent's."""
    return event.outcome == "done" or bool(event.detail.get("takes_back"))


def _cut(event: AuditEvent) -> AuditEvent:
    """The event with a bounded thing and reason; `thing_cut` says how many characters of the thing are missing."""
    # An event that takes another back names the same thing, so both are cut alike.
    most = limits.AUDIT_THING_DONE if _must_be_written(event) else limits.AUDIT_THING
    reason = event.detail.get("reason", "")
    if len(event.thing) <= most and (not isinstance(reason, str) or len(reason) <= limits.AUDIT_REASON):
        return event
    detail = dict(event.detail)
    if isinstance(reason, str) and reason:
        detail["reason"] = reason[: limits.AUDIT_REASON]
    if len(event.thing) > most:
        detail["thing_cut"] = len(event.thing) - most
    return replace(event, thing=event.thing[:most], detail=detail)


class MemoryAudit:
    """Keeps events in a list, for unit tests."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def record(self, event: AuditEvent) -> None:
        """As AuditPort.record."""
        self.events.append(event)
