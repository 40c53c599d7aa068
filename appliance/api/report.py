"""GET /v1/report: what a week, a month or a quarter came to."""

from __future__ import annotations

from appliance.api.common import Shape
from appliance.api.status import ObjectiveState


class Counted(Shape, frozen=True, kw_only=True):
    """A name that callers chose, and how often something happened to it: at least `count - over` times, `over` being 0
    unless more names were met than are kept."""

    name: str
    count: int
    over: int = 0


class ActCount(Shape, frozen=True, kw_only=True):
    """How often an act was done, refused and failed."""

    act: str
    done: int
    refused: int
    failed: int


class Incident(Shape, frozen=True, kw_only=True):
    """An event that a review asks about."""

    time: str
    act: str
    actor: str
    thing: str
    outcome: str


class RoleHolders(Shape, frozen=True, kw_only=True):
    """Who has a role now, disabled accounts left out: how many persons and robots, and the first names of these."""

    role: str
    persons: int
    robots: int
    names: tuple[str, ...]


class StorageGrowth(Shape, frozen=True, kw_only=True):
    """Bytes of the disk and of the store now; bytes that pushes and bundles brought in the period, and that collections
    took; and in how many days the disk is full where that goes on, None where it is not filling."""

    size: int
    free: int
    store: int
    came: int
    collected: int
    days_left: int | None


class StreamSent(Shape, frozen=True, kw_only=True):
    """A stream's last bundle: its number, and when it was made, or came in."""

    stream: str
    direction: str
    sequence: int
    at: str


class Report(Shape, frozen=True, kw_only=True):
    """What the audit log says of a period, beside what stands now. `log_begins` is the time of the first event that is
    still in a log from which others were pruned, "" for a whole log: where it is later than `since`, what was
    before is not in the counts. `denied` are repositories whose requests were refused or failed, `failed_pushes`
    those of pushes among them, `pulled` those that were pulled most, `refused` accounts and addresses that were
    refused most. `objectives` are of their own days."""

    site: str
    period: str
    since: str
    until: str
    log_begins: str
    events: int
    denied: tuple[Counted, ...]
    failed_pushes: tuple[Counted, ...]
    pulled: tuple[Counted, ...]
    refused: tuple[Counted, ...]
    objectives: tuple[ObjectiveState, ...]
    incidents: tuple[Incident, ...]
    incident_count: int
    roles: tuple[RoleHolders, ...]
    account_changes: tuple[ActCount, ...]
    retention: tuple[ActCount, ...]
    transfer: tuple[ActCount, ...]
    streams: tuple[StreamSent, ...]
    storage: StorageGrowth
