"""What the audit log says of the steps of bundles and of what people decided about them: the rows of `transitions`,
`decisions` and `approvals` are held against it (appliance.release_check.changed_steps)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from appliance.audit.acts import REPORTED, Act

STEP_OF: Final[Mapping[Act, str]] = {
    Act.INTAKE_RECEIVE: "received", Act.INTAKE_VERIFY: "verified", Act.INTAKE_IMPORT: "quarantined",
    Act.INTAKE_INSPECT: "inspected", Act.INTAKE_REINSPECT: "inspected", Act.INTAKE_APPROVE: "approved",
    Act.INTAKE_RELEASE: "released", Act.INTAKE_WITHDRAW: "withdrawn", Act.INTAKE_REJECT: "rejected",
}  # fmt: skip
"""The step that each act makes."""
DECIDES: Final[Mapping[Act, str]] = {Act.INTAKE_APPROVE: "approve", Act.INTAKE_REJECT: "reject"}
_ENDS: Final = (Act.INTAKE_INSPECT, Act.INTAKE_REINSPECT, Act.INTAKE_WITHDRAW, Act.INTAKE_REJECT)
"""The acts after which no approval before them counts: its row is gone."""


class DecisionEvent(NamedTuple):
    """A decision: the bundle's digest, `approve` or `reject`, the key, whose log-in handed it in, and the digest of the
    signed document ("" in events of an earlier version)."""

    digest: str
    decision: str
    keyid: str
    actor: str
    document: str


@dataclass(slots=True)
class StepRecord:
    """By the log: `steps` the actors of each (digest, step), one an event; `reports` the digests of each bundle's
    reports, one an event, too ("" where an event names none); `decisions` how often each was recorded; `kept` those of
    which an event says that they were kept, with its time, by (digest, keyid, document); `counted` the keys by which
    each bundle was released, with the time; `live` the keys whose decision still stands for each bundle. `whole`:
    whether all of it is known."""

    steps: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    reports: dict[str, list[str]] = field(default_factory=dict)
    decisions: dict[DecisionEvent, int] = field(default_factory=dict)
    kept: dict[tuple[str, str, str], str] = field(default_factory=dict)
    counted: dict[tuple[str, str], str] = field(default_factory=dict)
    live: dict[str, set[str]] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    whole: bool = True

    def note(self, act: Act | None, event: Mapping[str, Any]) -> None:
        """Add an event that happened; the newest come first."""
        detail = event["detail"]
        digest, keyid, time = str(detail.get("digest", "")), str(detail.get("keyid", "")), str(event["time"])
        if act == Act.INTAKE_KEPT:
            self.kept.setdefault((digest, keyid, str(detail.get("document", ""))), time)
        if act is None or act not in STEP_OF:
            return
        self.steps.setdefault((digest, STEP_OF[act]), []).append(str(event["actor"]))
        if act in REPORTED:
            self.reports.setdefault(digest, []).append(str(detail.get("report", "")))
        if act in DECIDES:
            said = DecisionEvent(digest, DECIDES[act], keyid, str(event["actor"]), str(detail.get("document", "")))
            self.decisions[said] = self.decisions.get(said, 0) + 1
            if digest not in self.over:
                self.live.setdefault(digest, set()).add(keyid)
        if act in _ENDS:
            self.over.add(digest)
        if act == Act.INTAKE_RELEASE:
            for key in detail.get("approved_by", ()):
                self.counted.setdefault((digest, str(key)), time)

    def is_exact(self, digest: str) -> bool:
        """Whether every step of a bundle is known, and not only what it came to."""
        return (digest, "received") in self.steps

    def has_report(self, digest: str, report: str) -> bool:
        """Whether a bundle's report is one that was recorded, as far as all of them are known."""
        known = self.reports.get(digest, [])
        return report in known or "" in known or len(known) < len(self.steps.get((digest, "inspected"), []))

    def go_on_from(self, base: StepRecord) -> None:
        """Add what a cut kept. What was taken back since is still counted: then a row too many is not found."""
        self.whole = base.whole
        for step, actors in base.steps.items():
            self.steps.setdefault(step, []).extend(actors)
        for digest, reports in base.reports.items():
            self.reports.setdefault(digest, []).extend(reports)
        for said, count in base.decisions.items():
            self.decisions[said] = self.decisions.get(said, 0) + count
        self.kept = base.kept | self.kept
        self.counted = base.counted | self.counted
        for digest, keys in base.live.items():
            if digest not in self.over:
                self.live.setdefault(digest, set()).update(keys)

    def rows(self) -> dict[str, list[Any]]:
        """What a cut keeps, by word."""
        return {
            "steps": [[*step, actors] for step, actors in sorted(self.steps.items())],
            "reports": [[digest, reports] for digest, reports in sorted(self.reports.items())],
            "decisions": [[*said, count] for said, count in sorted(self.decisions.items())],
            "kept": [[*key, time] for key, time in sorted(self.kept.items())],
            "counted": [[*key, time] for key, time in sorted(self.counted.items())],
            "live": [[digest, sorted(keys)] for digest, keys in sorted(self.live.items())],
        }

    def take(self, word: str, rows: Iterable[Any]) -> None:
        """Add rows that a cut kept. Raises as its parts do where they are none."""
        match word:
            case "steps":
                for digest, step, actors in rows:
                    self.steps[str(digest), str(step)] = list(map(str, actors))
            case "reports":
                self.reports |= {str(digest): list(map(str, reports)) for digest, reports in rows}
            case "decisions":
                for *said, count in rows:
                    self.decisions[DecisionEvent(*map(str, said))] = int(count)
            case "kept":
                self.kept |= {(str(one), str(key), str(document)): str(at) for one, key, document, at in rows}
            case "counted":
                self.counted |= {(str(digest), str(key)): str(at) for digest, key, at in rows}
            case "live":
                self.live |= {str(digest): set(map(str, keys)) for digest, keys in rows}
            case _:
                pass
