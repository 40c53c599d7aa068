"""What the audit log says of changes of duty: that a first security-officer has called, and since when changes wait
(docs/adr/0015-duties.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.store.writes.pending_changes import id_after_grant

WAITS: Final = (Act.ACCOUNT_ASK, Act.ACCOUNT_CONFIRM, Act.ACCOUNT_DISABLE, Act.ACCOUNT_WITHDRAW)
"""The acts from which the 72 hours of a change are counted."""
ABOUT: Final = (Act.ACCOUNT_FIRST_OFFICER, *WAITS)
"""The acts that this record is made of."""


@dataclass(slots=True)
class DutyRecord:
    """By the log: `officer` the first security-officer who called ("" for none); `asked` when each change was asked
    for, by its id; `confirmed` when each change was confirmed; `removed` when an administrator was last disabled or
    lost the role."""

    officer: str = ""
    asked: dict[str, str] = field(default_factory=dict)
    confirmed: dict[str, str] = field(default_factory=dict)
    removed: str = ""

    def note(self, act: Act | None, event: Mapping[str, Any]) -> None:
        """Add an event that happened."""
        detail, time = event["detail"], str(event["time"])
        if act == Act.ACCOUNT_FIRST_OFFICER:
            self.officer = str(detail.get("officer", event["thing"]))
        elif act == Act.ACCOUNT_ASK:
            self.asked.setdefault(str(detail.get("id", "")), time)
        elif act == Act.ACCOUNT_CONFIRM:
            self.confirmed.setdefault(str(detail.get("id", "")), time)
        elif act in (Act.ACCOUNT_DISABLE, Act.ACCOUNT_WITHDRAW) and detail.get("how"):
            self.removed = max(self.removed, time)

    def waits_since(self, change_id: str, what: str, thing: str) -> str:
        """When the wait of a change began at the earliest; "" where no event tells of it. A credential that waits since
        the grant of a role was confirmed has an id that follows from the grant's (appliance.store.writes.duties);
        `thing` is what it names, a key's id or a uid."""
        since = self.asked.get(change_id, "")
        for grant, at in self.confirmed.items() if not since else ():
            if id_after_grant(grant, what, thing) == change_id:
                since = at
        return max(since, self.removed) if since else ""

    def go_on_from(self, base: DutyRecord) -> None:
        """Add what a cut kept."""
        self.officer = base.officer or self.officer
        self.asked = base.asked | self.asked
        self.confirmed = base.confirmed | self.confirmed
        self.removed = max(self.removed, base.removed)

    def rows(self) -> dict[str, list[Any]]:
        """What a cut keeps, by word."""
        return {
            "officer": [[self.officer, self.removed]] if self.officer or self.removed else [],
            "asked": sorted(map(list, self.asked.items())),
            "confirmed": sorted(map(list, self.confirmed.items())),
        }

    def take(self, word: str, rows: Iterable[Any]) -> None:
        """Add rows that a cut kept. Raises as its parts do where they are none."""
        match word:
            case "officer":
                for officer, removed in rows:
                    self.officer, self.removed = str(officer), str(removed)
            case "asked":
                self.asked |= {str(one): str(time) for one, time in rows}
            case "confirmed":
                self.confirmed |= {str(one): str(time) for one, time in rows}
            case _:
                pass
