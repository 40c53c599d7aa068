"""What the audit log says of deeds that rows remember: restores, floors, receipts, hand-overs and sealed keys that were
opened, of streams (appliance.release_check.stream_record), of the steps of bundles
(appliance.release_check.step_record), of changes of duty (appliance.release_check.duty_record), of accounts
(appliance.release_check.account_record), of promotions (appliance.release_check.promotion_record) and of retirements
(appliance.release_check.retirement_record); and what a cut of the log keeps of it.

A cut keeps lines `{"deeds": word, "of": […]}`; a cut without any is one of an earlier version, which kept nothing of
them. `times` is there always; `whole` names the parts of which the cut knows everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.release_check import duty_record, promotion_record, retirement_record, stream_record
from appliance.release_check.account_record import AccountRecord
from appliance.release_check.duty_record import DutyRecord
from appliance.release_check.promotion_record import PromotionRecord
from appliance.release_check.retirement_record import RetirementRecord
from appliance.release_check.step_record import StepRecord
from appliance.release_check.stream_record import StreamRecord
from bundles.io import strict_json

_CHUNK: Final = 200
HandOver = tuple[str, ...]
"""bundle, giver, taker, medium, serial, seal, note, actor."""
_STREAMS, _STEPS, _PROMOTIONS = "streams", "steps", "promotions"
_RETIREMENTS = "retirements"
HANDED: Final = ("giver", "taker", "medium", "serial", "seal", "note")


@dataclass(slots=True)
class DeedRecord:
    """By the log: `spent` the sealed keys that opened, each with its bundle's id; `restored` the time of the newest
    restore ("" for none); `receipts` by number, with digest and time; `handovers`; `arrived` the time of the newest
    import. `streams`, `steps`, `duties`, `accounts`, `promotions` and `retirements` as their modules have it. `whole`:
    whether all of that is known; `kept`: whether a cut kept any of it, `parts` the parts of which a cut knew
    everything."""

    spent: dict[str, str] = field(default_factory=dict)
    restored: str = ""
    receipts: dict[int, tuple[str, str]] = field(default_factory=dict)
    handovers: set[HandOver] = field(default_factory=set)
    arrived: str = ""
    streams: StreamRecord = field(default_factory=StreamRecord)
    steps: StepRecord = field(default_factory=StepRecord)
    duties: DutyRecord = field(default_factory=DutyRecord)
    accounts: AccountRecord = field(default_factory=AccountRecord)
    promotions: PromotionRecord = field(default_factory=PromotionRecord)
    retirements: RetirementRecord = field(default_factory=RetirementRecord)
    whole: bool = True
    kept: bool = False
    parts: set[str] = field(default_factory=set)

    def note(self, act: Act | None, event: Mapping[str, Any]) -> None:
        """Add an event that happened; the newest come first."""
        detail, time = event["detail"], str(event["time"])
        if act in stream_record.ABOUT:
            self.streams.note(act, event)
        if act in duty_record.ABOUT:
            self.duties.note(act, event)
        if act in promotion_record.ABOUT:
            self.promotions.note(act, event)
        if act in retirement_record.ABOUT:
            self.retirements.note(act, event)
        self.accounts.note(act, event)
        self.steps.note(act, event)
        if act == Act.BREAK_GLASS_RELEASE:
            for keyid in detail.get("approved_by", ()):
                self.spent.setdefault(str(keyid), str(event["thing"]))
        elif act == Act.RESTORE:
            self.restored = max(self.restored, str(detail.get("at", time)))
        elif act == Act.INTAKE_IMPORT and detail.get("digest"):  # else volumes were missing
            self.arrived = max(self.arrived, time)
        elif act == Act.RECEIPT_EXPORT:
            self.receipts.setdefault(int(detail.get("number", 0)), (str(detail.get("digest", "")), time))
        elif act == Act.CUSTODY_HAND_OVER:
            said = (str(detail.get(name, "")) for name in HANDED)
            self.handovers.add((str(event["thing"]), *said, str(event["actor"])))

    def note_taken_back(self, act: Act | None, event: Mapping[str, Any]) -> None:
        """Add an event of what was taken back: a restore that failed may have shut imports."""
        if act == Act.RESTORE:
            self.streams.note(act, event, done=False)

    def go_on_from(self, base: DeedRecord, taken_back: set[tuple[Act | None, str]]) -> None:
        """Add what a cut kept. What was taken back since is still counted as done, where the cut cannot tell: then
        nothing is said of such rows."""
        self.whole = base.kept
        undone = {thing for act, thing in taken_back if act == Act.BREAK_GLASS_RELEASE}
        for keyid, bundle in base.spent.items():
            if bundle not in undone:
                self.spent.setdefault(keyid, bundle)
        self.restored, self.arrived = max(self.restored, base.restored), max(self.arrived, base.arrived)
        base.streams.whole, base.steps.whole = _STREAMS in base.parts, _STEPS in base.parts
        base.promotions.whole = _PROMOTIONS in base.parts
        self.promotions.go_on_from(base.promotions, taken_back)
        base.retirements.whole = _RETIREMENTS in base.parts
        self.retirements.go_on_from(base.retirements, taken_back)
        self.streams.go_on_from(base.streams, taken_back)
        self.steps.go_on_from(base.steps)
        self.duties.go_on_from(base.duties)
        self.accounts.go_on_from(base.accounts, taken_back)
        for number, said in base.receipts.items():
            self.receipts.setdefault(number, said)
        self.handovers |= base.handovers

    def lines(self) -> Iterator[bytes]:
        """What a cut keeps."""
        times = [["restored", self.restored], ["arrived", self.arrived]]
        parts = (
            (_STREAMS, self.streams), (_STEPS, self.steps), (_PROMOTIONS, self.promotions),
            (_RETIREMENTS, self.retirements),
        )  # fmt: skip
        every: dict[str, list[Any]] = {
            "times": times if self.whole else [*times, ["part", ""]],
            "spent": sorted(map(list, self.spent.items())),
            "receipts": [[number, *said] for number, said in sorted(self.receipts.items())],
            "handovers": sorted(map(list, self.handovers)),
            "whole": [[name] for name, part in parts if part.whole],
            **self.streams.rows(),
            **self.steps.rows(),
            **self.duties.rows(),
            **self.accounts.rows(),
            **self.promotions.rows(),
            **self.retirements.rows(),
        }
        for word, rows in every.items():
            todo = iter(rows)
            while page := list(islice(todo, _CHUNK)):
                yield strict_json.canonical({"deeds": word, "of": page}) + b"\n"

    def take(self, said: Mapping[str, Any]) -> None:
        """Add a line that a cut kept. Raises LookupError, TypeError, ValueError."""
        rows = said["of"]
        match said["deeds"]:
            case "times":
                times = {str(name): str(time) for name, time in rows}
                self.restored, self.arrived = times["restored"], times["arrived"]
                self.kept = "part" not in times
            case "spent":
                self.spent |= {str(keyid): str(bundle) for keyid, bundle in rows}
            case "receipts":
                self.receipts |= {int(number): (str(digest), str(time)) for number, digest, time in rows}
            case "handovers":
                self.handovers |= {tuple(map(str, row)) for row in rows}
            case "whole":
                self.parts = {str(name) for (name,) in rows}
            case word:  # of a part, or a later version's
                self.streams.take(word, rows)
                self.steps.take(word, rows)
                self.duties.take(word, rows)
                self.accounts.take(word, rows)
                self.promotions.take(word, rows)
                self.retirements.take(word, rows)
