"""GET /v1/status: the station at a glance; and its certificates."""

from __future__ import annotations

from typing import Any

from appliance.api.common import Shape
from appliance.api.jobs import Job


class Check(Shape, frozen=True, kw_only=True):
    """A check of the station's health."""

    name: str
    ok: bool
    detail: str = ""


class Health(Shape, frozen=True, kw_only=True):
    """All checks; `ok` where each of them is."""

    ok: bool = True
    checks: tuple[Check, ...] = ()


class GraveyardUse(Shape, frozen=True, kw_only=True):
    """Blobs that were collected and can still be given back; `oldest` is the time of the first, "" where there is
    none."""

    blobs: int = 0
    bytes: int = 0
    oldest: str = ""


class Collected(Shape, frozen=True, kw_only=True):
    """How many collected digests are remembered, and how often one of them was asked for since."""

    tombstones: int = 0
    asked: int = 0


class StoreUse(Shape, frozen=True, kw_only=True):
    """`bytes` are of the store's blobs; `free` and `size` of its file system, `size` 0 where it is not known. `damaged`
    and `unread` count blobs."""

    blobs: int = 0
    bytes: int = 0
    free: int = 0
    size: int = 0
    graveyard: GraveyardUse = GraveyardUse()
    damaged: int = 0
    unread: int = 0
    collected: Collected = Collected()


class JobCounts(Shape, frozen=True, kw_only=True):
    """Live jobs by state; one that waits for a signature counts as running."""

    running: int = 0
    queued: int = 0
    waiting: int = 0


class LastImport(Shape, frozen=True, kw_only=True):
    """The bundle that came in last."""

    id: str
    at: str


class ReadOnly(Shape, frozen=True, kw_only=True):
    """Since when no content is taken in, and why: the disk is nearly full."""

    since: str
    why: str


class JobToSign(Shape, frozen=True, kw_only=True):
    """A job that waits for a signature, and since when."""

    job: str
    since: str = ""


class UnfinishedBundle(Shape, frozen=True, kw_only=True):
    """A bundle that was signed at `signed` and is not on its media."""

    id: str
    job: str
    signed: str


class RefusedLane(Shape, frozen=True, kw_only=True):
    """A lane of the audit log that the last checkpoint does not vouch for, from event `seq` on."""

    lane: int
    seq: int
    code: str = ""
    file: str = ""


class Head(Shape, frozen=True, kw_only=True):
    """GET /v1/audit/head: the newest checkpoint of the audit log. `head` is written down elsewhere, so that a cut end
    shows; "" before the first checkpoint."""

    head: str = ""
    created: str | None = None
    events: int = 0
    refused: tuple[RefusedLane, ...] = ()


class AdvisoriesHeld(Shape, frozen=True, kw_only=True):
    """The advisories that vulnerabilities are found by: how many sources, the time of the oldest one's newest record
    ("" where none is loaded), records that could not be read, and `hit`, how many images that are served have findings
    that the newest load of a source was the first to make (GET /v1/scan/new). `damaged` counts sources of which rows
    are not what was loaded, as far as that is seen without reading all of them, or that are gone."""

    sources: int = 0
    oldest: str = ""
    malformed: int = 0
    hit: int = 0
    damaged: int = 0


class ObjectiveState(Shape, frozen=True, kw_only=True):
    """An objective of config.toml (`slo`) and which of its shares this is (`pulls`, `pushes`, `fast_pulls`): `target`
    and `reached` are shares of the last `days`, `left` the share of its error budget that is left, and `burn` how many
    times as fast as allowed it is spent, by window."""

    slo: str
    objective: str
    target: float
    reached: float
    left: float
    days: int
    burn: dict[str, float] = {}


class QuarantinedSource(Shape, frozen=True, kw_only=True):
    """A source's bundles that nobody has decided about: their bytes, and how many they may have (0: any number)."""

    source: str
    bytes: int
    quota: int = 0


class Status(Shape, frozen=True, kw_only=True):
    """GET /v1/status. `hidden` names what this account may not see, and what is None or empty here for that reason.
    `to_sign` and `unfinished` name what waits for people; `job` is the one that runs. `quarantined` has each source
    with undecided bundles, and each with a quota of its own. `revision` is another text whenever what the station holds
    was changed: its rows, its pinned keys, its own keys."""

    site: str
    side: str
    open: bool = False
    version: str = ""
    listen: str = ""
    started: str = ""
    store: StoreUse = StoreUse()
    read_only: ReadOnly | None = None
    jobs: JobCounts = JobCounts()
    quarantine: int = 0
    quarantined: tuple[QuarantinedSource, ...] = ()
    account_changes: int = 0
    last_import: LastImport | None = None
    advisories: AdvisoriesHeld = AdvisoriesHeld()
    hidden: tuple[str, ...] = ()
    to_sign: tuple[JobToSign, ...] = ()
    unfinished: tuple[UnfinishedBundle, ...] = ()
    objectives: tuple[ObjectiveState, ...] = ()
    alerts: tuple[str, ...] = ()
    health: Health = Health()
    approvals_needed: int = 1
    audit: Head = Head()
    revision: str = ""
    job: Job | None = None


class ActivityPoint(Shape, frozen=True, kw_only=True):
    """What went on in the `step` that begins `at`: good pulls and pushes, errors of the station's own, imports that
    ended well or were refused; `stored` are the store's bytes at its end."""

    at: str
    pulls: int = 0
    pushes: int = 0
    errors: int = 0
    imports: int = 0
    refused: int = 0
    stored: int = 0


class Activity(Shape, frozen=True, kw_only=True):
    """GET /v1/activity: the last hours since the station's start, oldest first, in steps of so many seconds."""

    step: int
    points: tuple[ActivityPoint, ...] = ()


class Certificate(Shape, frozen=True, kw_only=True):
    """An item of GET /v1/tls: a certificate's file, its last day, the days until then and the names it is for."""

    name: str
    path: str
    not_after: str
    days: int
    names: tuple[str, ...] = ()


class Released(Shape, frozen=True, kw_only=True):
    """GET /v1/releases/check: whether all that is shown was released; `items` are what was not, or what was changed in
    the database since. `cached`: how many repositories show what caches brought, which nobody released."""

    ok: bool
    items: tuple[dict[str, Any], ...] = ()
    next: str | None = None
    cached: int = 0
