"""Bundles that go out: plans, what was made, where it went, and what the other side is known to hold."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from appliance.api.common import Shape


class PlannedVolume(Shape, frozen=True, kw_only=True):
    """A volume and the medium, by its number, that it goes to."""

    index: int
    medium: int
    size: int
    blobs: int = 0


class PlannedMedium(Shape, frozen=True, kw_only=True):
    """A medium as named in the request, the bytes that go to it, and those free on it now; `disk` is where the disk is
    mounted that it is a folder of, "" for a medium."""

    path: str
    size: int = 0
    free: int | None = None
    disk: str = ""


class PlannedArtifact(Shape, frozen=True, kw_only=True):
    """An artifact that a build carries."""

    repository: str
    tags: tuple[str, ...] = ()
    digest: str
    kind: str = ""


class ChosenReference(Shape, frozen=True, kw_only=True):
    """A reference that a pattern stands for; `before` is the digest that its tag carried last."""

    reference: str
    before: str | None = None


class Plan(Shape, frozen=True, kw_only=True):
    """POST /v1/plans: what a build would write, before anything is written. `volume` is the largest volume's bytes,
    `requires` counts blobs that are inside already, of `required_bytes`, `sboms_to_make` the images that the build
    will describe first, and `unfinished` says which bundles of the stream are signed and not on their media.
    `not_carried` are foreign layers that the station does not hold: artifact and layer. `nothing` says why there is
    nothing to carry."""

    artifacts: tuple[PlannedArtifact, ...]
    chosen: tuple[ChosenReference, ...] = ()
    blobs: int
    bytes: int
    volume: int
    volumes: tuple[PlannedVolume, ...]
    media: tuple[PlannedMedium, ...] = ()
    requires: int = 0
    required_bytes: int = 0
    base: str = ""
    space: dict[str, int] = {}
    sboms_to_make: int = 0
    not_carried: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    nothing: str | UnsetType = UNSET


class OutgoingBundle(Shape, frozen=True, kw_only=True):
    """A bundle that this station made. `standing` is where it stands in one word, since `since`; `why` the reason, or
    the bundle `by` which it was superseded; `places` where it was written to; `inside` what the other side tells."""

    id: str
    stream: str
    sequence: int
    digest: str | None = None
    state: str
    job_id: str | None = ""
    created: str
    job_state: str | None = None
    standing: str = ""
    since: str = ""
    why: str = ""
    places: tuple[str, ...] = ()
    signed: str | None = None
    written: str | None = None
    voided: str | None = None
    by: str | None = None
    inside: dict[str, Any] | None = None


class VoidedBundle(Shape, frozen=True, kw_only=True):
    """POST /v1/bundles/{id}/void."""

    voided: Any


class Medium(Shape, frozen=True, kw_only=True):
    """A mounted medium and the bundles seen on it."""

    path: str
    label: str = ""
    filesystem: str = ""
    size: int = 0
    free: int = 0
    read_only: bool = False
    bundles: tuple[str, ...] = ()


class Site(Shape, frozen=True, kw_only=True):
    """A known destination: listed by somebody, or one that `bundles` were signed for, `last` the newest."""

    site: str
    listed: bool = False
    actor: str = ""
    at: str = ""
    bundles: int = 0
    last: str | None = None


class Destination(Shape, frozen=True, kw_only=True):
    """GET /v1/destination: a build may name the site; a line for each bundle for it that is not on its media."""

    site: str
    unfinished: tuple[str, ...] = ()


class SiteChange(Shape, frozen=True, kw_only=True):
    """POST and DELETE /v1/sites; `new` is in the answer to POST alone."""

    site: str
    new: bool | UnsetType = UNSET


class Delta(Shape, frozen=True, kw_only=True):
    """GET /v1/deltas: a stream out, and what the other end is known to hold."""

    stream: str
    last_sequence: int
    receipt: int | None = None
    receipt_created: str | None = None
    receipt_taken: str | None = None
    inventory: bool = False
    confirmed_sequence: int | None = None
    confirmed_blobs: int = 0
    confirmed_bytes: int = 0
    carried_blobs: int = 0
    carried_bytes: int = 0
    want_lists: int = 0
    last_at: str | None = None


class MadeReceipt(Shape, frozen=True, kw_only=True):
    """GET /v1/kept: a receipt of this station's, and the blobs that are kept while deltas may stand on it."""

    number: int
    digest: str
    created: str
    pinned_blobs: int = 0
    pinned_bytes: int = 0
    streams: tuple[str, ...] = ()


class Want(Shape, frozen=True, kw_only=True):
    """GET /v1/wants: a want-list that was read."""

    digest: str
    bundle: str
    stream: str = ""
    taken: str


class Receipt(Shape, frozen=True, kw_only=True):
    """GET /v1/receipts: one that this station gave (`direction` is `out`), or that came back to it (`in`)."""

    direction: str
    site: str
    number: int
    digest: str
    created: str
    at: str
    head: str = ""


class TakenStatement(Shape, frozen=True, kw_only=True):
    """POST /v1/receipts: of a receipt its number, head and the bundles it has custody of; of a want-list its bundle.

    `back` are bundles that were void here and count again, `voided` those that are void now: they cannot come in."""

    site: str
    number: int | UnsetType = UNSET
    head: str | UnsetType = UNSET
    custody: tuple[str, ...] | UnsetType = UNSET
    bundle: str | UnsetType = UNSET
    new: bool
    voided: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
