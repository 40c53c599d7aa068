"""Finding events in the audit log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.audit.reading import newest
from bundles.errors import MalformedError, UsageError
from bundles.io.times import check_time

_PLACE: Final = re.compile(r"[0-9]{1,2}-[0-9]{1,15}\Z")


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

    def __post_init__(self) -> None:
        """Raises UsageError for what no event can ever be: it is a slip, and an empty list would hide it."""
        for name, text in (("--since", self.since), ("--until", self.until)):
            if text and not _is_time(text):
                raise UsageError(
                    f"{name} is not a time", thing=repr(text)[:60], remedy="write YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ"
                )
        if self.until and self.since >= self.until:
            raise UsageError(
                "no time lies between --since and --until", thing=f"{self.since} and {self.until}",
                remedy="give the earlier one as --since",
            )  # fmt: skip
        if not any(act.startswith(self.act) for act in Act):
            areas = sorted({act.partition(".")[0] for act in Act})
            raise UsageError(
                "no act begins so", thing=repr(self.act)[:60], remedy=f"acts begin with {', '.join(areas)}"
            )

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


def _is_time(text: str) -> bool:
    """Whether it is a time, or a day, which begins at midnight UTC."""
    try:
        check_time(text if "T" in text else f"{text}T00:00:00Z", "")
    except MalformedError:
        return False
    return True


def find_events(folder: Path, limit: int, query: Query, after: str = "") -> tuple[list[dict[str, Any]], str]:
    """The newest `limit` events that `query` takes, oldest first, and where the older ones go on ("" at the end).

    `after` is what an earlier call said of that: how far it had come in each lane, so that nothing is shown twice or
    left out, whatever the clock did. Raises UsageError for one that is none.
    """
    come = _places(after)
    found: list[dict[str, Any]] = []
    for event in newest(folder, before=come):
        if len(found) == limit:
            return found[::-1], " ".join(f"{lane}-{seq}" for lane, seq in sorted(come.items()))
        come[event["lane"]] = event["seq"]
        if query.takes(event):
            found.append(event)
    return found[::-1], ""


def _places(text: str) -> dict[int, int]:
    places = {}
    for part in text.split():
        if _PLACE.match(part) is None:
            raise UsageError("not a place in the audit log", thing=repr(text)[:60], remedy="give a page's `next`")
        lane, _, seq = part.partition("-")
        places[int(lane)] = int(seq)
    return places
