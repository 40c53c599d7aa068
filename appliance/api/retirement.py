"""What is retired, and what takes its place."""

from __future__ import annotations

from appliance.api.common import Shape


class Retired(Shape, frozen=True, kw_only=True):
    """GET and POST /v1/retirements: `reference` is retired from the time `after` on; `over` says that it has come.
    `digest` is what it named when it was retired, "" for a whole repository."""

    reference: str
    digest: str = ""
    successor: str
    after: str
    reason: str = ""
    actor: str
    at: str
    over: bool


class Unretired(Shape, frozen=True, kw_only=True):
    """POST /v1/retirements/undo: it is not retired any more."""

    reference: str
