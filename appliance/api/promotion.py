"""Promotions between stages, and rollbacks."""

from __future__ import annotations

from appliance.api.common import Shape


class PromotedGate(Shape, frozen=True, kw_only=True):
    """One rule of one gate that an image passed: `why`, and the `exceptions` without which it would not."""

    gate: int
    rule: str
    image: str
    platform: str = ""
    met: bool
    why: str
    exceptions: tuple[str, ...] = ()


class PromotionDone(Shape, frozen=True, kw_only=True):
    """POST /v1/promotions and POST /v1/rollbacks: `reference` stands at `digest` now, and stood at `before` ("" for
    nowhere). `linked` is how many manifests and blobs the channel did not show before, `left` what refers to the
    artifact and is no evidence, which stayed behind. `summary` is what the station signed about it, by its key `keyid`
    ("" for a rollback). `gates` are the rules that were asked, line by line; `policy` the number of the policy."""

    act: str
    reference: str
    digest: str
    before: str = ""
    source: str
    policy: int
    linked: int
    left: tuple[str, ...] = ()
    summary: str = ""
    keyid: str = ""
    fingerprint: str = ""
    gates: tuple[PromotedGate, ...] = ()


class Promotion(Shape, frozen=True, kw_only=True):
    """GET /v1/promotions: a promotion or a rollback (`act`) of a channel, with who did it and why. `seal` says
    whether the row is what the station wrote: `good`, `damaged`, or `none` for one of an earlier version."""

    number: int
    act: str
    reference: str
    digest: str
    before: str = ""
    source: str
    actor: str
    reason: str = ""
    policy: int
    summary: str = ""
    at: str
    seal: str = "none"


class Channel(Shape, frozen=True, kw_only=True):
    """GET /v1/channels: a tag that was ever promoted, as it stands: at `digest` ("" where it is gone), `since`, by
    which `act` of whom, from which `source` and why ("" where something else put it there). `stage` is "" for a
    repository of none. `seal` is that of its history: `good`, `none` where an earlier version wrote it, `damaged`.
    `verdict` says whether it would pass the policy now: `passes`, `warns`, `refused`, `unknown`; `why`, and what
    `asks` opens it."""

    reference: str
    stage: str = ""
    digest: str = ""
    since: str = ""
    act: str = ""
    actor: str = ""
    source: str = ""
    reason: str = ""
    seal: str
    verdict: str
    why: str = ""
    asks: str = ""
