"""/v1/probe: how the station's canary was pulled."""

from __future__ import annotations

from appliance.api.common import Shape


class ProbedDoor(Shape, frozen=True, kw_only=True):
    """How the image came through a door, `listener` or `worker-N`: `reason` is `ok`, or why it did not come, of which
    `detail` says more; `bytes` in `seconds`."""

    door: str
    reason: str
    detail: str
    seconds: float
    bytes: int


class ProbeResult(Shape, frozen=True, kw_only=True):
    """A probe of every door; `at` is when it ended, "" where there was none yet. `fault` says why the last one could
    not be made."""

    image: str
    at: str
    doors: tuple[ProbedDoor, ...]
    fault: str = ""
