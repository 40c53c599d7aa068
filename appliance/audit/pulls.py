"""Pulls in the audit log: who took what is written at the first pull, and further ones are counted."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from appliance import limits
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent


@dataclass(slots=True)
class _Pulled:
    until: float
    more: int = 0


class Pulls:
    """Decides which pulls are events. For the event loop's thread alone; a repeated pull costs a look into a table."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str, str], _Pulled] = OrderedDict()

    def again(self, actor: str, thing: str, address: str) -> bool:
        """Count a pull that was recorded within the hour. False, and nothing counted, where it has to be recorded."""
        pulled = self._seen.get((actor, thing, address))
        if pulled is None or time.monotonic() >= pulled.until:
            return False
        pulled.more += 1
        return True

    def note(self, actor: str, thing: str, address: str, reference: str) -> AuditEvent | None:
        """The event to record before the manifest goes out, or None where this client's pull of it was recorded within
        the hour. `count` of the next event has those between in it."""
        key, moment = (actor, thing, address), time.monotonic()
        pulled = self._seen.get(key)
        if pulled is not None and moment < pulled.until:
            pulled.more += 1
            return None
        if pulled is None and len(self._seen) >= limits.AUDIT_PULLED:
            self._seen.popitem(last=False)
        self._seen[key] = _Pulled(moment + limits.AUDIT_PULLS)
        self._seen.move_to_end(key)
        count = 1 + (pulled.more if pulled is not None else 0)
        return AuditEvent(Act.PULL, actor, thing, "done", {"from": address, "reference": reference, "count": count})
