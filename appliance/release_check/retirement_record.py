"""What the audit log says of retirements, and what a cut of it keeps: the rows of `retirements` are held against it
(appliance.release_check.changed_retirements)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.store.reads.retirements import Retirement

ABOUT: Final = (Act.RETIRE, Act.UNRETIRE)


@dataclass(slots=True)
class RetirementRecord:
    """By the log: of each reference what the newest act says, None where its retirement was taken back, and when.
    `whole`: whether all is known; `unsure` those of which an act was taken back that a cut kept."""

    said: dict[str, Retirement | None] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    whole: bool = True

    def note(self, act: Act, event: Mapping[str, Any]) -> None:
        """Add an event that happened; the newest come first."""
        thing, detail = str(event["thing"]), event["detail"]
        if thing in self.said:
            return
        self.times[thing] = str(event["time"])
        self.said[thing] = None
        if act == Act.RETIRE:
            fields = {name: str(detail.get(name, "")) for name in Retirement._fields}
            self.said[thing] = Retirement(**fields | {"reference": thing, "actor": str(event["actor"])})

    def go_on_from(self, base: RetirementRecord, taken_back: set[tuple[Act | None, str]]) -> None:
        """Add what a cut kept, beneath what came after it."""
        self.whole = base.whole
        for thing, said in base.said.items():
            if thing in self.said:
                continue
            self.said[thing], self.times[thing] = said, base.times.get(thing, "")
            if any((act, thing) in taken_back for act in ABOUT):
                self.unsure.add(thing)
        self.unsure |= base.unsure

    def rows(self) -> dict[str, list[Any]]:
        """What a cut keeps, by word: retirements that stand, and that of which nobody can tell."""
        kept = [[self.times[thing], *said] for thing, said in sorted(self.said.items()) if said is not None]
        return {"retirements": kept, "retirements-unsure": [[one] for one in sorted(self.unsure)]}

    def take(self, word: str, rows: Iterable[Any]) -> None:
        """Add rows that a cut kept. Raises as its parts do where they are none."""
        if word == "retirements":
            for time, *said in rows:
                one = Retirement(*map(str, said))
                self.said[one.reference], self.times[one.reference] = one, str(time)
        elif word == "retirements-unsure":
            self.unsure |= {str(one) for (one,) in rows}
