"""What the audit log says of promotions and rollbacks, and what a cut of it keeps: the rows of `promotions` are held
against it (appliance.release_check.changed_promotions)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from appliance.audit.acts import Act
from appliance.store.reads.promotions import Promoted

ABOUT: Final = (Act.PROMOTE, Act.ROLLBACK)


class Moved(NamedTuple):
    """An event, or a row, of a promotion or a rollback; `before` and `at` are empty in events of an earlier version."""

    act: str
    digest: str
    actor: str
    source: str
    reason: str
    policy: str
    summary: str
    before: str = ""
    at: str = ""

    @classmethod
    def of_row(cls, row: Promoted) -> Moved:
        """What the event of a row must say."""
        return cls(
            row.act, row.digest, row.actor, row.source, row.reason, str(row.policy), row.summary, row.before, row.at
        )


class PromotionEvent(NamedTuple):
    """An event with its time; `anew`: the history of the channel began with it."""

    moved: Moved
    time: str
    anew: bool


@dataclass(slots=True)
class PromotionRecord:
    """By the log: what was told of each channel, `repository:tag`, the newest first. `whole`: whether all is known."""

    told: dict[str, list[PromotionEvent]] = field(default_factory=dict)
    whole: bool = True

    def note(self, act: Act, event: Mapping[str, Any]) -> None:
        """Add an event that happened; the newest come first."""
        detail = event["detail"]

        def said(name: str) -> str:
            return str(detail.get(name, ""))

        moved = Moved(
            str(act), said("digest"), str(event["actor"]), said("source"), said("reason"), said("policy"),
            said("summary"), said("before"), said("at"),
        )  # fmt: skip
        one = PromotionEvent(moved, str(event["time"]), detail.get("anew") is True)
        self.told.setdefault(str(event["thing"]), []).append(one)

    def go_on_from(self, base: PromotionRecord, taken_back: set[tuple[Act | None, str]]) -> None:
        """Add what a cut kept, but for the newest of an act that was taken back since."""
        self.whole = base.whole
        for channel, kept in base.told.items():
            rest = list(kept)
            for act in ABOUT:
                undone = next((one for one in rest if one.moved.act == act), None)
                if undone is not None and (act, channel) in taken_back:
                    rest.remove(undone)
            self.told.setdefault(channel, []).extend(rest)

    def rows(self) -> dict[str, list[Any]]:
        """What a cut keeps, by word."""
        rows = [
            [channel, *one.moved, one.time, one.anew] for channel, told in sorted(self.told.items()) for one in told
        ]
        return {"promotions": rows}

    def take(self, word: str, rows: Iterable[Any]) -> None:
        """Add rows that a cut kept. Raises as its parts do where they are none."""
        if word == "promotions":
            for channel, *moved, time, anew in rows:
                one = PromotionEvent(Moved(*map(str, moved)), str(time), anew is True)
                self.told.setdefault(str(channel), []).append(one)
