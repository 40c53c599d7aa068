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
