"""What the policy for images says of an artifact."""

from __future__ import annotations

from appliance.api.common import Shape


class PolicyLine(Shape, frozen=True, kw_only=True):
    """One rule about one manifest: `kind` is `rule` (who must have signed) or `gate` (what it is made of), `number`
    that of the rule or gate, `asked` the gate's own rule ("" for a rule). `mode` is `enforce`, `warn` or `off`, `at`
    where it is held: release, promotion, pull. `why` says why it is not `met`, and `asks` what would satisfy it.
    `exceptions` are the ids of those without which it would not be met; `grace` when it ends to be met by that alone.
    """

    kind: str
    number: int
    asked: str = ""
    mode: str
    at: tuple[str, ...]
    image: str
    platform: str = ""
    met: bool
    why: str = ""
    asks: str = ""
    exceptions: tuple[str, ...] = ()
    grace: str = ""


class PolicyException(Shape, frozen=True, kw_only=True):
    """An exception about the artifact's repository: findings of one `advisory`, or one `rule` of gates, let through
    until a time; of one `digest` alone where it names one. `expired`: it counts no more."""

    id: str
    owner: str
    reason: str
    until: str
    advisory: str = ""
    rule: str = ""
    digest: str = ""
    expired: bool


class PolicySaid(Shape, frozen=True, kw_only=True):
    """GET /v1/policy: the policy in force (`policy` is its number, 0 where none is) held against what a reference
    names, as content of its repository. `stage` is the stage that this is of, or "". `refused_at` are the places where
    it would be refused now: release, promotion, pull; `warned_at` where it would only be warned of."""

    reference: str
    digest: str
    repository: str
    policy: int
    stage: str = ""
    refused_at: tuple[str, ...] = ()
    warned_at: tuple[str, ...] = ()
    lines: tuple[PolicyLine, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()
