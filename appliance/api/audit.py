"""The audit log, its chain check, and custody records."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from appliance.api.common import Shape


class Event(Shape, frozen=True, kw_only=True):
    """An event: `lane` and `seq` are its place in the chain, `prev` the sha256 of the line before it, `micros` its time
    in microseconds, `pid` the process that wrote it. An event of before the log was sealed has no `mac`."""

    time: str
    act: str
    actor: str
    thing: str
    outcome: str
    lane: int = 0
    seq: int = 0
    prev: str = ""
    micros: int = 0
    pid: int = 0
    mac: str | UnsetType = UNSET
    detail: dict[str, Any] = {}


class Finding(Shape, frozen=True, kw_only=True):
    """What does not hold; `code` says which kind, `line` is 0 where it is about the whole file."""

    file: str
    line: int = 0
    what: str = ""
    code: str = ""
    lane: int = 0


class Checked(Shape, frozen=True, kw_only=True):
    """GET /v1/audit/check: every event was looked at. No checkpoint covers `uncovered` events; `time_back` are older
    than the one before them, and `set_back` say that the clock was set back."""

    ok: bool
    events: int = 0
    lanes: int = 0
    checkpoints: int = 0
    covered: int = 0
    uncovered: int = 0
    time_back: int = 0
    set_back: int = 0
    head: str = ""
    first: str = ""
    last: str = ""
    findings: tuple[Finding, ...] = ()
    head_expected: str | None = None


class CustodyBundle(Shape, frozen=True, kw_only=True):
    """A bundle with a custody record: `direction` is `in`, `out`, or empty where it only passed through hands here."""

    id: str
    direction: str = ""
    state: str = ""
    at: str = ""
    handovers: int = 0


class CustodyRecord(Shape, frozen=True, kw_only=True):
    """GET /v1/bundles/{id}/custody; `head` is the audit log's, to be written down with it; `made` is what its signers
    said of it, `other` the other side's part from its receipt, `timeline` both in one order."""

    id: str
    site: str
    head: str
    digest: str | None = ""
    state: str = ""
    made: dict[str, Any] | None = None
    steps: tuple[dict[str, Any], ...] = ()
    signatures: tuple[dict[str, Any], ...] = ()
    decisions: tuple[dict[str, Any], ...] = ()
    handovers: tuple[dict[str, Any], ...] = ()
    events: tuple[dict[str, Any], ...] = ()
    other: dict[str, Any] | None = None
    timeline: tuple[dict[str, Any], ...] = ()
