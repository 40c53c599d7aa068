"""The intake: what came in, what waits for people, what they decided, and where each stream stands."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from appliance.api.common import Shape
from appliance.api.people import AccountChange


class EntrySummary(Shape, frozen=True, kw_only=True):
    """A bundle that came in; `bytes` are of its volumes, `approvals` and `needed` count people."""

    digest: str
    id: str
    stream: str
    sequence: int
    state: str
    received: str
    decided: str | None = None
    actor: str = ""
    artifacts: int = 0
    bytes: int = 0
    approvals: int = 0
    needed: int = 1
    missing_volumes: tuple[int, ...] = ()


class Became(Shape, frozen=True, kw_only=True):
    """What became of a bundle that came in. `standing` is its state, or `superseded` where it is released and later
    releases stand for each of its tags, `by` the one that took the last of them; of one that waits for its decision
    `why` says that later releases took its tags. `dates` has the last time of each step."""

    standing: str
    since: str
    why: str = ""
    by: str | None = None
    dates: dict[str, str] = {}


class IntakeEntry(EntrySummary, frozen=True, kw_only=True):
    """An item of GET /v1/intake. `standing` is its state, or `superseded`, since `since`, for the reason `why`, by the
    release `by`; `dates` has the last time of each step."""

    standing: str = ""
    since: str = ""
    why: str = ""
    by: str | None = None
    dates: dict[str, str] = {}
    damaged: str = ""
    """Why its manifest cannot be read, "" where it can."""


class IntakeDecision(Shape, frozen=True, kw_only=True):
    """An approval, or the one rejection with its reason."""

    keyid: str
    owner: str
    created: str
    decision: str = "approve"
    why: str = ""
    not_after: str = ""


class Step(Shape, frozen=True, kw_only=True):
    """A step that a bundle took."""

    state: str
    at: str
    actor: str = ""
    note: str = ""


class CarriedVolume(Shape, frozen=True, kw_only=True):
    """A volume of a bundle, and whether it was read and verified."""

    index: int
    medium: int
    size: int
    verified: bool


class IntakeDetail(IntakeEntry, frozen=True, kw_only=True):
    """GET /v1/intake/{id}: the entry with its manifest, report, decisions and volumes."""

    steps: tuple[Step, ...] = ()
    report_digest: str | None = None
    decisions: tuple[IntakeDecision, ...] = ()
    account_changes: tuple[AccountChange, ...] = ()
    volumes: tuple[CarriedVolume, ...] = ()
    manifest: dict[str, Any] = {}
    report: dict[str, Any] | None = None


class ReleaseAnswer(Shape, frozen=True, kw_only=True):
    """What a release made visible: references, and whether that is the whole bundle; and the changes of accounts that
    it has shown."""

    id: str = ""
    released: tuple[str, ...]
    whole: bool = True
    account_changes: tuple[AccountChange, ...] = ()


class Withdrawn(Shape, frozen=True, kw_only=True):
    """POST /v1/intake/{id}/withdraw: what is shown no more, and what is shown all the same, since something else stands
    for it."""

    id: str
    withdrawn: tuple[str, ...]
    still_shown: tuple[str, ...] = ()


class FoundBy(Shape, frozen=True, kw_only=True):
    """What an inspector found, in a line."""

    inspector: str
    outcome: str
    summary: str = ""


class Approver(Shape, frozen=True, kw_only=True):
    """Who approved."""

    keyid: str
    owner: str
    created: str


class VerifiedApprover(Approver, frozen=True, kw_only=True):
    """Who approved, verified as a release would: whether it counts, and why not."""

    not_after: str = ""
    sealed: bool = False
    counts: bool = True
    why: str = ""


class Effect(Shape, frozen=True, kw_only=True):
    """What an approval by a key will do. `adds`: whether the number of people grows by it."""

    owner: str = ""
    sealed: bool = False
    hours: int = 0
    approvals: int = 0
    needed: int = 0
    enough: bool = False
    adds: bool = True
    text: str = ""


class Pending(EntrySummary, frozen=True, kw_only=True):
    """An item of GET /v1/approvals; `waits_for` is `inspection`, `approvals` or `release`, `hours` how long an
    approval is good for. `error`, in a list alone, says why the entry cannot be read, "" where it can."""

    source: str = ""
    importer: str = ""
    classification: str = ""
    kinds: tuple[str, ...] = ()
    hours: int = 0
    waits_for: str = ""
    inspectors_missing: tuple[str, ...] = ()
    report_digest: str | None = None
    found: tuple[FoundBy, ...] = ()
    people: tuple[Approver, ...] = ()
    error: str | UnsetType = UNSET


class PendingDetail(Pending, frozen=True, kw_only=True):
    """GET /v1/approvals/{id}: every approval verified anew; `effect` where a key was named."""

    purpose: str = ""
    authorisation: str = ""
    created: str = ""
    not_after: str = ""
    steps: tuple[Step, ...] = ()
    people: tuple[VerifiedApprover, ...] = ()
    signers: tuple[dict[str, Any], ...] = ()
    changes: dict[str, Any] | None = None
    differences: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    effect: Effect | None = None
    account_changes: tuple[AccountChange, ...] = ()


class Stream(Shape, frozen=True, kw_only=True):
    """A stream, `in` or `out`: its last bundle, how many bundles it had, and how many entries in the ledger. `shut`
    says why nothing of it is imported, "" where it is."""

    stream: str
    direction: str
    last_sequence: int
    last_digest: str
    last_at: str
    bundles: int = 0
    entries: int = 0
    shut: str = ""


class LedgerRow(Shape, frozen=True, kw_only=True):
    """A row of the append-only ledger: a bundle, and the state it came into at `created`."""

    entry: int
    stream: str
    sequence: int
    digest: str | None = None
    id: str
    state: str
    why: str | None = None
    created: str
    actor: str = ""


class ClockFloor(Shape, frozen=True, kw_only=True):
    """GET /v1/clock: no bundle so far was made after `floor` (empty: none came); `why` is that bundle, or what people
    said who set it."""

    now: str
    floor: str = ""
    why: str = ""
    created: str = ""
    actor: str = ""


class Differing(Shape, frozen=True, kw_only=True):
    """A floor that somebody else said: of the stream, or of the clock."""

    owner: str
    sequence: int = 0
    digest: str = ""
    floor: str = ""


class Override(Shape, frozen=True, kw_only=True):
    """What was said of a stream's floor, how many people have said the same, of how many, and what others said of it
    that is something else."""

    people: int
    needed: int
    differing: tuple[Differing, ...] = ()
    stream: str = ""
    sequence: int = 0
    digest: str = ""
    floor: str = ""
