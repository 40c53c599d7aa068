"""Pulls in the audit log: who took what is written at the first pull, and further ones are counted: they are written
when their hour is over, and when the worker stops."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.pull_journal import Repeated
from appliance.limits import audit as limits


@dataclass(slots=True)
class _Pulled:
    until: float
    reference: str
    more: int = 0


class Pulls:
    """Decides which pulls are events. For the event loop's thread alone; a repeated pull costs a look into a table."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: OrderedDict[tuple[str, str, str], _Pulled] = OrderedDict()
        self._waiting: list[AuditEvent] = []
        self._changed: set[tuple[str, str, str]] = set()

    def again(self, actor: str, thing: str, address: str) -> bool:
        """Count a pull that was recorded within the hour. False, and nothing counted, where it has to be recorded."""
        pulled = self._seen.get((actor, thing, address))
        if pulled is None or self._now() >= pulled.until:
            return False
        pulled.more += 1
        self._changed.add((actor, thing, address))
        return True

    def note(self, actor: str, thing: str, address: str, reference: str) -> AuditEvent | None:
        """The event to record before the manifest goes out, or None where this client's pull of it was recorded within
        the hour. `count` of the next event has those between in it."""
        key, moment = (actor, thing, address), self._now()
        pulled = self._seen.get(key)
        if pulled is not None and moment < pulled.until:
            pulled.more += 1
            self._changed.add(key)
            return None
        if pulled is None and len(self._seen) >= limits.AUDIT_PULLED:
            oldest, forgotten = self._seen.popitem(last=False)
            self.keep(*_counted(oldest, forgotten))
            self._changed.add(oldest)
        self._seen[key] = _Pulled(moment + limits.AUDIT_PULLS, reference)
        self._seen.move_to_end(key)
        if pulled is not None and pulled.more:
            self._changed.add(key)
        return _event(key, reference, 1 + (pulled.more if pulled is not None else 0))

    def changed(self) -> list[Repeated]:
        """What was counted, or told, since the last call: of a pull that is not counted any more, 0."""
        found, self._changed = self._changed, set()
        return [self._repeated(key) for key in found]

    def counted(self) -> list[Repeated]:
        """All that is counted now."""
        return [self._repeated(key) for key, pulled in self._seen.items() if pulled.more]

    def take_up(self, before: Iterable[Repeated]) -> None:
        """Have `due` tell of what an earlier process had counted."""
        self.keep(*(_event((one.actor, one.thing, one.address), one.reference, one.more) for one in before))

    def _repeated(self, key: tuple[str, str, str]) -> Repeated:
        pulled = self._seen.get(key)
        return Repeated(*key, *(("", 0) if pulled is None else (pulled.reference, pulled.more)))

    @property
    def has_waiting(self) -> bool:
        """Whether events wait that could not be recorded yet."""
        return bool(self._waiting)

    def keep(self, *events: AuditEvent) -> None:
        """Have `due` return these: they could not be recorded yet."""
        self._waiting += events

    def due(self, *, all_of_them: bool = False) -> list[AuditEvent]:
        """The events of repeated pulls that were only counted, of those whose hour is over, or of all; they are counted
        no more. Grows with the table: some milliseconds."""
        moment, found, self._waiting = self._now(), self._waiting, []
        for key, pulled in list(self._seen.items()):
            if moment < pulled.until and not all_of_them:
                break  # the oldest come first
            found += _counted(key, pulled)
            del self._seen[key]
            self._changed.add(key)
        return found


def _counted(key: tuple[str, str, str], pulled: _Pulled) -> list[AuditEvent]:
    return [_event(key, pulled.reference, pulled.more)] if pulled.more else []


def _event(key: tuple[str, str, str], reference: str, count: int) -> AuditEvent:
    actor, thing, address = key
    return AuditEvent(Act.PULL, actor, thing, "done", {"from": address, "reference": reference, "count": count})
