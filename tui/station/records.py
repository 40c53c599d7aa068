"""The shapes that come back from a station; they mirror the control API's JSON (docs/internals/seams.md)."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from tui.station.account_changes import AccountChange

T = TypeVar("T")


class Shape(msgspec.Struct, frozen=True):
    """A record as the control API sends it; fields of newer stations are ignored."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list: `next` is the cursor of what follows, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


class Check(Shape, frozen=True, kw_only=True):
    name: str
    ok: bool
    detail: str = ""


class Health(Shape, frozen=True, kw_only=True):
    ok: bool = True
    checks: tuple[Check, ...] = ()


class StoreUse(Shape, frozen=True, kw_only=True):
    """Bytes are of the store's blobs, and free on its file system."""

    blobs: int = 0
    bytes: int = 0
    free: int = 0


class JobCounts(Shape, frozen=True, kw_only=True):
    running: int = 0
    queued: int = 0


class LastImport(Shape, frozen=True, kw_only=True):
    id: str
    at: str


class ReadOnly(Shape, frozen=True, kw_only=True):
    """Since when no content is taken in, and why: the disk is nearly full."""

    since: str
    why: str


class Status(Shape, frozen=True, kw_only=True):
    """GET /v1/status. `hidden` names what is not this account's to see, and is None or empty here for that reason."""

    site: str
    side: str
    open: bool = False
    version: str = ""
    listen: str = ""
    started: str = ""
    store: StoreUse = StoreUse()
    jobs: JobCounts = JobCounts()
    quarantine: int = 0
    account_changes: int = 0
    last_import: LastImport | None = None
    hidden: tuple[str, ...] = ()
    read_only: ReadOnly | None = None
    alerts: tuple[str, ...] = ()
    health: Health = Health()


class Held(Shape, frozen=True, kw_only=True):
    """A role on the repositories that a pattern covers."""

    role: str
    pattern: str = "**"


class Who(Shape, frozen=True, kw_only=True):
    """GET /v1/session: who this console is to the station. `denied` names the permissions this account does not have,
    each with the reason; `keys` are those that stand for it; `idle_seconds` are what a log-in lasts without a key; on
    an `open` station nobody logs in."""

    account: str
    kind: str = "person"
    roles: tuple[Held, ...] = ()
    permissions: tuple[str, ...] = ()
    denied: dict[str, str] = {}
    keys: tuple[str, ...] = ()
    idle_seconds: int = 0
    open: bool = False


class Repository(Shape, frozen=True, kw_only=True):
    name: str
    tags: int
    manifests: int
    bytes: int
    untagged: int | None = 0
    """Manifests to which no tag leads; None where that cannot be told."""


class Tag(Shape, frozen=True, kw_only=True):
    tag: str
    digest: str
    media_type: str
    kind: str
    size: int
    total_size: int
    updated: str


class Platform(Shape, frozen=True, kw_only=True):
    platform: str
    digest: str
    size: int


class Layer(Shape, frozen=True, kw_only=True):
    media_type: str
    digest: str
    size: int


class Referrer(Shape, frozen=True, kw_only=True):
    digest: str
    artifact_type: str | None = None
    kind: str
    size: int
    annotations: dict[str, str] = {}


class SbomRef(Shape, frozen=True, kw_only=True):
    digest: str
    subject: str


class Artifact(Shape, frozen=True, kw_only=True):
    """GET /v1/artifact. `raw` is the manifest's text as stored, `config` the image's configuration document."""

    reference: str
    digest: str
    media_type: str
    artifact_type: str | None = None
    kind: str
    size: int
    total_size: int
    raw: str
    config: dict[str, Any] | None = None
    annotations: dict[str, str] = {}
    platforms: tuple[Platform, ...] = ()
    layers: tuple[Layer, ...] = ()
    referrers: tuple[Referrer, ...] = ()
    sboms: tuple[SbomRef, ...] = ()
    tags: tuple[str, ...] = ()


class Component(Shape, frozen=True, kw_only=True):
    name: str
    version: str
    type: str
    purl: str
    licenses: tuple[str, ...] = ()


class Found(Shape, frozen=True, kw_only=True):
    """One answer of GET /v1/find: `ref` is what to open."""

    kind: str
    text: str
    ref: str


class PlannedVolume(Shape, frozen=True, kw_only=True):
    index: int
    medium: int
    size: int
    blobs: int = 0


class PlannedMedium(Shape, frozen=True, kw_only=True):
    """A medium as named in the request, and the bytes free on it now; `disk` is where the disk is mounted that it is a
    folder of, "" for a medium."""

    path: str
    free: int | None = None
    disk: str = ""


class PlannedArtifact(Shape, frozen=True, kw_only=True):
    repository: str
    tags: tuple[str, ...] = ()
    digest: str
    kind: str = ""


class Plan(Shape, frozen=True, kw_only=True):
    """POST /v1/plans: what a build would write, before anything is written. `volume` is the largest volume's bytes,
    `requires` counts blobs that are inside already, of `required_bytes`, `sboms_to_make` the images that the build
    will describe first, and `unfinished` says which bundles of the stream are signed and not on their media.
    `not_carried` are foreign layers that the station does not hold: artifact and layer."""

    artifacts: tuple[PlannedArtifact, ...]
    blobs: int
    bytes: int
    volume: int
    volumes: tuple[PlannedVolume, ...]
    media: tuple[PlannedMedium, ...] = ()
    requires: int = 0
    required_bytes: int = 0
    sboms_to_make: int = 0
    not_carried: tuple[dict[str, str], ...] = ()
    base: str = ""
    space: dict[str, int] = {}
    unfinished: tuple[str, ...] = ()


class ToSign(Shape, frozen=True, kw_only=True):
    """What a job waits for: `payload` is base64 of the exact bytes to sign (empty where a job is listed)."""

    payload: str = ""
    purpose: str = ""
    keyids: tuple[str, ...] = ()
    describe: dict[str, Any] = {}


class JobError(Shape, frozen=True, kw_only=True):
    error: str = ""
    what: str
    thing: str = ""
    remedy: str = ""
    exit_status: int = 1


class Part(Shape, frozen=True, kw_only=True):
    """A part of a job's work: a medium that is written and compared (`done` counts each byte twice), or a volume that
    is read. `state` is writing, comparing, done, failed; waiting, reading, verified, missing, damaged. `about` says
    what failed, or which artifacts wait for the volume."""

    name: str
    medium: int = 1
    state: str
    done: int = 0
    total: int = 0
    about: str = ""


FINAL_STATES = frozenset({"done", "failed", "refused", "incomplete", "cancelled"})


class Job(Shape, frozen=True, kw_only=True):
    """A job: `done` and `total` in bytes, `rate` in bytes a second, `seconds_left` None when not known."""

    id: str
    kind: str
    params: dict[str, Any] = {}
    state: str
    phase: str = ""
    done: int = 0
    total: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    result: dict[str, Any] | None = None
    error: JobError | None = None
    actor: str = ""
    created: str = ""
    started: str | None = None
    finished: str | None = None
    to_sign: ToSign | None = None
    parts: tuple[Part, ...] = ()

    @property
    def final(self) -> bool:
        return self.state in FINAL_STATES


class JobEvent(Shape, frozen=True, kw_only=True):
    """One server-sent event of a job: its new state, or a line of its log."""

    job: Job | None = None
    log: str | None = None


class LogPart(Shape, frozen=True, kw_only=True):
    text: str
    offset: int


class IntakeEntry(Shape, frozen=True, kw_only=True):
    """A bundle in the intake, as listed; `bytes` are of its volumes."""

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
    damaged: str = ""
    """Why its manifest cannot be read, "" where it can."""


class Decision(Shape, frozen=True, kw_only=True):
    """An approval, or the one rejection with its reason."""

    keyid: str
    owner: str
    created: str
    decision: str = "approve"
    why: str = ""
    not_after: str = ""


class ReleaseAnswer(Shape, frozen=True, kw_only=True):
    """What a release made visible: references; and the changes of accounts that it has shown."""

    released: tuple[str, ...]
    account_changes: tuple[AccountChange, ...] = ()


class CarriedVolume(Shape, frozen=True, kw_only=True):
    index: int
    medium: int
    size: int
    verified: bool


class IntakeDetail(IntakeEntry, frozen=True, kw_only=True):
    """GET /v1/intake/{id}: the entry with its manifest, report, decisions and volumes."""

    manifest: dict[str, Any] = {}
    report: dict[str, Any] | None = None
    report_digest: str | None = None
    decisions: tuple[Decision, ...] = ()
    volumes: tuple[CarriedVolume, ...] = ()
    account_changes: tuple[AccountChange, ...] = ()


class Stream(Shape, frozen=True, kw_only=True):
    stream: str
    direction: str
    last_sequence: int
    last_digest: str
    last_at: str
    bundles: int = 0


class Site(Shape, frozen=True, kw_only=True):
    """A known destination: listed by somebody, or one that `bundles` were signed for, `last` the newest."""

    site: str
    listed: bool = False
    bundles: int = 0
    last: str | None = None


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


class OutgoingBundle(Shape, frozen=True, kw_only=True):
    id: str
    stream: str
    sequence: int
    digest: str | None = None
    state: str
    job_id: str = ""
    created: str
    standing: str = ""
    since: str = ""
    why: str = ""


class Revoked(Shape, frozen=True, kw_only=True):
    at: str
    why: str


class TrustedKey(Shape, frozen=True, kw_only=True):
    keyid: str
    purposes: tuple[str, ...]
    owner: str
    sites: tuple[str, ...] = ()
    algorithm: str
    not_before: str | None = None
    not_after: str | None = None
    revoked: Revoked | None = None
    fingerprint: str


class Rule(Shape, frozen=True, kw_only=True):
    """What is demanded beyond one good signature, for a purpose from a site (empty: any)."""

    purpose: str
    site: str = ""
    signers: int = 1
    algorithms: tuple[str, ...] = ()
    gaps: bool = False
    silence_days: int = 0


class OwnKey(Shape, frozen=True, kw_only=True):
    """A private key of the station's folder, by name; its secret half never leaves that folder's owner. With `station`
    the station itself signs, and no person."""

    name: str
    keyid: str
    algorithm: str
    encrypted: bool
    station: bool = False


class Medium(Shape, frozen=True, kw_only=True):
    """A mounted medium and the bundles seen on it."""

    path: str
    label: str = ""
    filesystem: str = ""
    size: int = 0
    free: int = 0
    read_only: bool = False
    bundles: tuple[str, ...] = ()


class AuditEvent(Shape, frozen=True, kw_only=True):
    time: str
    act: str
    actor: str
    thing: str
    outcome: str
