"""What the audit log says of deeds that rows remember: restores, floors, receipts, hand-overs and sealed keys that were
opened; and what a cut of the log keeps of it.

A cut keeps lines `{"deeds": word, "of": […]}`, of each word one at least; a cut without any is one of an earlier
version, which kept nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from appliance.audit.acts import Act
from bundles.io import strict_json

_CHUNK: Final = 200
HandOver = tuple[str, ...]
"""bundle, giver, taker, medium, serial, seal, note, actor."""
HANDED: Final = ("giver", "taker", "medium", "serial", "seal", "note")


@dataclass(slots=True)
class DeedRecord:
    """By the log: `spent` the sealed keys that opened, each with its bundle's id; `restored` the time of the newest
    restore ("" for none); `floors` of streams that people set, as (stream, sequence, digest); `clocks` that they set,
    as (stream, time); `receipts` by number, with digest and time; `handovers`; `arrived` the time of the newest import.
    `whole`: whether all of that is known; `kept`: whether a cut kept any of it."""

    spent: dict[str, str] = field(default_factory=dict)
    restored: str = ""
    floors: set[tuple[str, int, str]] = field(default_factory=set)
    clocks: set[tuple[str, str]] = field(default_factory=set)
    receipts: dict[int, tuple[str, str]] = field(default_factory=dict)
    handovers: set[HandOver] = field(default_factory=set)
    arrived: str = ""
    whole: bool = True
    kept: bool = False

    def note(self, act: Act | None, event: Mapping[str, Any]) -> None:
        """Add an event that happened; the newest come first."""
        detail, time = event["detail"], str(event["time"])
        if act == Act.BREAK_GLASS_RELEASE:
            for keyid in detail.get("approved_by", ()):
                self.spent.setdefault(str(keyid), str(event["thing"]))
        elif act == Act.RESTORE:
            self.restored = max(self.restored, time)
        elif act == Act.INTAKE_IMPORT:
            self.arrived = max(self.arrived, time)
        elif act == Act.STREAM_RESET and detail.get("floor"):
            self.clocks |= {(name, str(detail["floor"])) for name in ("", str(event["thing"]))}
        elif act == Act.STREAM_RESET:
            self.floors.add((str(event["thing"]), int(detail.get("sequence", 0)), str(detail.get("digest", ""))))
        elif act == Act.RECEIPT_EXPORT:
            self.receipts.setdefault(int(detail.get("number", 0)), (str(detail.get("digest", "")), time))
        elif act == Act.CUSTODY_HAND_OVER:
            said = (str(detail.get(name, "")) for name in HANDED)
            self.handovers.add((str(event["thing"]), *said, str(event["actor"])))

    def go_on_from(self, base: DeedRecord, taken_back: set[tuple[Act | None, str]]) -> None:
        """Add what a cut kept. What was taken back since is still counted as done, where the cut cannot tell: then
        nothing is said of such rows."""
        self.whole = base.kept
        undone = {thing for act, thing in taken_back if act == Act.BREAK_GLASS_RELEASE}
        for keyid, bundle in base.spent.items():
            if bundle not in undone:
                self.spent.setdefault(keyid, bundle)
        self.restored, self.arrived = max(self.restored, base.restored), max(self.arrived, base.arrived)
        self.floors |= base.floors
        self.clocks |= base.clocks
        for number, said in base.receipts.items():
            self.receipts.setdefault(number, said)
        self.handovers |= base.handovers

    def lines(self) -> Iterator[bytes]:
        """What a cut keeps."""
        times = [["restored", self.restored], ["arrived", self.arrived]]
        every: dict[str, list[Any]] = {
            "times": times if self.whole else [*times, ["part", ""]],
            "spent": sorted(map(list, self.spent.items())),
            "floors": sorted(map(list, self.floors)),
            "clocks": sorted(map(list, self.clocks)),
            "receipts": [[number, *said] for number, said in sorted(self.receipts.items())],
            "handovers": sorted(map(list, self.handovers)),
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
            case "floors":
                self.floors |= {(str(stream), int(sequence), str(digest)) for stream, sequence, digest in rows}
            case "clocks":
                self.clocks |= {(str(stream), str(time)) for stream, time in rows}
            case "receipts":
                self.receipts |= {int(number): (str(digest), str(time)) for number, digest, time in rows}
            case "handovers":
                self.handovers |= {tuple(map(str, row)) for row in rows}
            case _:
                pass  # a later version's
