"""What a look at an audit log finds, and what is known of a lane while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bundles import limits
from bundles.errors import LockgateError
from bundles.io.times import check_time

GENESIS: Final = "0" * 64
SET_BACK: Final = "clock.set-back"
"""The act of an event that a station writes into each lane when it notices there that the clock was set back:
`detail.from` and `detail.to` are the micros before and after."""

CHANGED: Final = "changed"
MAC_MISSING: Final = "mac-missing"
MAC_WRONG: Final = "mac-wrong"
SEAL_LOST: Final = "seal-lost"
REFUSED: Final = "refused"
BROKEN: Final = "broken"
UNDOCUMENTED: Final = "undocumented"
"""Codes of findings: of changes in general; of events that the station did not write; of checkpoints that said from
where on events carry MACs; of a lane that a signed checkpoint does not vouch for; of a lane whose chain or whose last
signed event is not what it was; of an export that lacks the document of a decision."""

_FINDINGS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where: a file's name, a line's number in it (0 for the file as a whole). Findings about who
    wrote an event name the lane too (else 0)."""

    file: str
    line: int
    what: str
    code: str = CHANGED
    lane: int = 0

    def text(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(slots=True)
class LogFindings:
    """What was looked at and found. No checkpoint covers `uncovered` events; `time_back` are older than the one before
    them in their lane, and `set_back` events say that the clock was set back. `unchecked` is what an export lacks that
    may be lacking: its events could not be held against it."""

    events: int = 0
    lanes: int = 0
    checkpoints: int = 0
    head: str = ""
    covered: int = 0
    uncovered: int = 0
    time_back: int = 0
    set_back: int = 0
    first: str = ""
    last: str = ""
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain data; `ok` says that nothing was found."""
        return {
            "ok": not self.findings, "events": self.events, "lanes": self.lanes, "checkpoints": self.checkpoints,
            "covered": self.covered, "uncovered": self.uncovered, "time_back": self.time_back,
            "set_back": self.set_back,
            "head": self.head, "first": self.first, "last": self.last,
            "findings": [
                {"file": each.file, "line": each.line, "what": each.what, "code": each.code, "lane": each.lane}
                for each in self.findings
            ],
        }  # fmt: skip

    def find(self, file: str, line: int, what: str, code: str = CHANGED, lane: int = 0) -> None:
        if len(self.findings) < _FINDINGS:
            self.findings.append(Finding(file, line, what, code, lane))


@dataclass(slots=True)
class Lane:
    """A lane while it is read: where it stands, and the hashes that checkpoints ask about. From event `sealed` on each
    must carry a MAC (None: no checkpoint says so), and from `checked` on it can be checked: keys of before may be gone.
    `macs` says that some event carries one."""

    seq: int = 0
    head: str = GENESIS
    number: int = 0
    first: int = 0
    since: str = ""
    micros: int = 0
    hashes: dict[int, str] = field(default_factory=dict)
    begins: tuple[int, str] | None = None
    cut: tuple[int, str] | None = None
    sealed: int | None = None
    checked: int = 1
    macs: bool = False

    def pass_time(self, fields: dict[str, Any], found: LogFindings) -> str:
        """Go on to an event's time. Returns what is wrong with it, "" for nothing."""
        before, self.micros = self.micros, fields["micros"]
        self.since = self.since or fields["time"]
        back = before - fields["micros"]
        said = (fields["act"], fields["outcome"]) == (SET_BACK, "done")
        found.time_back += back > 0
        found.set_back += said
        if back > limits.AUDIT_TIME_BACK:
            detail = fields["detail"]
            if not said or (detail.get("from"), detail.get("to")) != (before, fields["micros"]):
                return f"it says that it is {back // 1_000_000} s older than the event before it, and no event says why"
        away = _micros(fields["time"]) - fields["micros"]
        if abs(away) > limits.AUDIT_TIME_AWAY:
            return "its time and its micros are not the same"
        return ""


def _micros(time: str) -> int:
    """Microseconds since 1970; a text that is no time is far away from every other."""
    try:
        check_time(time, "an event's time")
        return int(datetime.fromisoformat(time).timestamp()) * 1_000_000
    except (LockgateError, ValueError, OverflowError):
        return -(2**62)
