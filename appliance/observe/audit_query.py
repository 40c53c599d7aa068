"""Finding events in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from appliance.observe.audit import newest

FILTERS: Final = ("act", "actor", "thing", "outcome", "since", "until")


@dataclass(frozen=True, slots=True)
class Query:
    """What an event must be; "" asks for nothing. `act` is a beginning, `text` is anywhere in the event, `since` and
    `until` are times (or days, which begin at midnight UTC)."""

    text: str = ""
    act: str = ""
    actor: str = ""
    thing: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""

    def takes(self, event: dict[str, Any]) -> bool:
        """Whether it is one of those asked for."""
        return (
            event["act"].startswith(self.act)
            and self.actor in ("", event["actor"])
            and self.thing in ("", event["thing"])
            and self.outcome in ("", event["outcome"])
            and event["time"] >= self.since
            and (not self.until or event["time"] < self.until)
            and (not self.text or self.text in str(event))
        )


def find_events(folder: Path, limit: int, query: Query) -> list[dict[str, Any]]:
    """The newest `limit` events that `query` takes, oldest first."""
    found = list(islice((event for event in newest(folder) if query.takes(event)), limit))
    return found[::-1]
