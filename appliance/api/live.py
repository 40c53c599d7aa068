"""GET /v1/live: what the registry is doing just now."""

from __future__ import annotations

from typing import Final

from appliance.api.common import Shape

LIVE_TOOK: Final = (0.005, 0.02, 0.1, 0.5, 2.0)
"""Upper bounds, in seconds, of the buckets that answers are counted in by how long they took; one more is above."""


class LiveRequest(Shape, frozen=True, kw_only=True):
    """A request that a worker has not answered to its end. `account` is "" for nobody's, `repository` for none."""

    id: str
    method: str
    path: str
    account: str
    address: str
    repository: str
    seconds: float


class LiveCount(Shape, frozen=True, kw_only=True):
    """Requests by account, repository or reason since somebody looks: all, those that did not end well, and bytes of
    answers. `took` counts the answers by the buckets of `LIVE_TOOK`."""

    name: str
    requests: int
    failed: int
    bytes: int
    took: tuple[int, ...] = ()


class WorkerLive(Shape, frozen=True, kw_only=True):
    """One worker, as it told at `at`; `seconds` since it began to count. `requests` are the longest of those that are
    `under_way`. Who has no account is counted by address, as `(nobody) 10.0.0.1`."""

    worker: int
    at: str
    seconds: float
    under_way: int
    requests: tuple[LiveRequest, ...]
    accounts: tuple[LiveCount, ...]
    repositories: tuple[LiveCount, ...]
    reasons: tuple[LiveCount, ...]


class Live(Shape, frozen=True, kw_only=True):
    """What every worker told; one that has not told anything yet, or not for some seconds, is not among `heard`, of
    `workers`."""

    at: str
    workers: int
    heard: tuple[WorkerLive, ...]
