"""GET /v1/recall: where something went, and who has it."""

from __future__ import annotations

import msgspec

from appliance.api.common import Shape


class RecalledBundle(Shape, frozen=True, kw_only=True):
    """`how` (`as` in JSON) is what the thing has to do with it: `signed it`, `decided about it`, `artifact`, `blob`."""

    id: str
    digest: str | None = ""
    state: str = ""
    how: str = msgspec.field(name="as", default="")
    direction: str = ""


class RecalledTag(Shape, frozen=True, kw_only=True):
    """`shown` is `yes`, `no`, `blocked`, or where the tag stands now. `bundle` is the one whose release put it there,
    "" where a client or a collect did."""

    reference: str
    digest: str = ""
    bundle: str = ""
    shown: str = ""


class Pull(Shape, frozen=True, kw_only=True):
    """Who took it, when last, how often, and from which addresses (`from` in JSON)."""

    actor: str
    thing: str
    last: str = ""
    count: int = 1
    addresses: tuple[str, ...] = msgspec.field(name="from", default=())


class RecalledWorkload(Shape, frozen=True, kw_only=True):
    """A workload of a cluster that was admitted with it, and when last. `cluster` is the account that asked, `workload`
    is KIND/NAME."""

    cluster: str
    namespace: str
    workload: str
    reference: str
    at: str


class DeployedWorkload(RecalledWorkload, frozen=True, kw_only=True):
    """A workload, and what the station says now of the image that it was admitted with: `state` is blocked, gone (not
    shown any more), unknown (a part of it cannot be read, and may be blocked), retired, drifted (no tag leads to it) or
    current."""

    state: str
    why: str = ""


class DeployedWorkloads(Shape, frozen=True, kw_only=True):
    """GET /v1/workloads. `remembered` is how many there are at all, `left_out` how many of those asked for are not
    among the items."""

    items: tuple[DeployedWorkload, ...] = ()
    left_out: int = 0
    remembered: int = 0


class Recall(Shape, frozen=True, kw_only=True):
    """GET /v1/recall. Pulls are known since `pulls_since`: the audit log begins there."""

    thing: str
    bundles: tuple[RecalledBundle, ...] = ()
    tags: tuple[RecalledTag, ...] = ()
    pulls: tuple[Pull, ...] = ()
    pulls_since: str = ""
    workloads: tuple[RecalledWorkload, ...] = ()
