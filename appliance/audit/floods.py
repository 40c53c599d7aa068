"""Counts refusals that come in great numbers, so that neither a client nor an attacker fills the audit log, and pulls
while the disk has no room for their events.

Two counters stand in a row. The narrow one is for the same refusal again: the first few are written one by one, then
those that make the count a power of ten, and the others are counted. What it takes for the same depends on who is
behind it: for a caller without an account it is the act, the address and the status, whatever the request names, since
an attacker chooses names freely; otherwise it is the act, the actor, the thing and the reason. The wide one bounds the
different refusals of one act: of all callers without an account together, or of one account.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from appliance import clock
from appliance.audit.event import AuditEvent
from appliance.limits import audit as limits

Key = tuple[str, ...]
_SEVERAL: Final = "several"


@dataclass(slots=True)
class _Count:
    """Refusals that count as one. `various`: they do not all name the same thing; `wide`: nor come from one caller."""

    event: AuditEvent
    until: float
    wide: bool
    seen: int = 0
    held: int = 0
    since: str = ""
    various: bool = False

    def hold(self, event: AuditEvent) -> None:
        """Count one that is not written, or what was counted and could not be written."""
        if not self.held:
            self.since = str(event.detail.get("since", "")) or clock.now()
        self.held += int(event.detail.get("repeated", 1))
        self.various = self.various or event.thing != self.event.thing

    def take(self) -> AuditEvent:
        """What was counted, as one event; the count begins anew."""
        detail = {**self.event.detail, "repeated": self.held, "since": self.since, "until": clock.now()}
        if self.various:
            detail["various"] = True
        actor = self.event.actor
        if self.wide and self.event.origin:
            actor = "anonymous"
            detail["address"] = _SEVERAL
        self.held, self.since = 0, ""
        return replace(self.event, actor=actor, detail=detail)


class Floods:
    """Decides which refusals are written now. Not safe for threads: the caller holds a lock."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Key, _Count] = OrderedDict()

    def admit(self, event: AuditEvent, moment: float) -> list[AuditEvent]:
        """What is to be written now that the refusal `event` happened at `moment` (time.monotonic())."""
        found = [count.take() for count in self._ended(moment)]
        narrow, wide = _narrow(event), _wide(event)
        known = self._counts.get(narrow)
        if known is None or known.seen < limits.AUDIT_FLOOD_FREE:  # the event would be written
            if wide is not None and (more := self._count(wide, event, moment, limits.AUDIT_FLOOD_WIDE)) is not None:
                return [*found, *more]
            known = known or self._find(narrow, event, moment)
            known.seen += 1
            return [*found, event]
        return [*found, *(self._count(narrow, event, moment, limits.AUDIT_FLOOD_FREE) or ())]

    def hold(self, event: AuditEvent, moment: float) -> None:
        """Count `event`, which cannot be written for want of room. Where too many different ones are counted, those of
        an act and its actor count as one."""
        key = _wide(event) or _narrow(event)
        if key not in self._counts and len(self._counts) >= limits.AUDIT_FLOODS:
            key = (event.act, event.actor)
        count = self._find(key, event, moment)
        count.seen += 1
        count.hold(event)

    def forget(self, event: AuditEvent) -> list[AuditEvent]:
        """Begin the counts of an act, actor and thing anew, for the act was done: a refusal that may follow takes it
        back, and must be written."""
        wide = (event.act, event.actor)
        same = [key for key in self._counts if key == wide or key[:3] == (*wide, event.thing)]
        return [count.take() for count in map(self._counts.pop, same) if count.held]

    def drain(self) -> list[AuditEvent]:
        """Everything that is counted and not written."""
        held = [count.take() for count in self._counts.values() if count.held]
        self._counts.clear()
        return held

    @property
    def holding(self) -> bool:
        """Whether something is counted and not written."""
        return any(count.held for count in self._counts.values())

    def _count(self, key: Key, event: AuditEvent, moment: float, free: int) -> list[AuditEvent] | None:
        """Count the event. None where it is among the first `free`, else what is to be written of the count."""
        count = self._find(key, event, moment)
        count.seen += 1
        if count.seen <= free:
            return None
        count.hold(event)
        return [count.take()] if str(count.seen).strip("0") == "1" else []

    def _find(self, key: Key, event: AuditEvent, moment: float) -> _Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(event, moment + limits.AUDIT_FLOOD, wide=len(key) < len(_narrow(event)))
        return count

    def _ended(self, moment: float) -> Iterator[_Count]:
        """Take out counts whose minute is over, and the oldest where there are too many."""
        while self._counts:
            key, count = next(iter(self._counts.items()))
            if count.until > moment and len(self._counts) < limits.AUDIT_FLOODS:
                return
            del self._counts[key]
            if count.held:
                yield count


def _narrow(event: AuditEvent) -> Key:
    if event.origin:
        return (event.act, f"from {event.origin}", str(event.detail.get("status", "")), event.outcome)
    return (event.act, event.actor, event.thing, event.outcome, str(event.detail.get("reason", "")))


def _wide(event: AuditEvent) -> Key | None:
    """None for failures: they are the station's own trouble, and few of them are different."""
    if event.origin:
        return (event.act,)
    return (event.act, event.actor) if event.outcome == "refused" else None
