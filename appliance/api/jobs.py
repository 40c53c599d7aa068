"""Jobs: their state, what they wait for, their events and logs."""

from __future__ import annotations

from typing import Any

from appliance.api.common import Shape
from appliance.api.errors import ErrorDocument
from appliance.api.states import FINAL_STATES


class ToSign(Shape, frozen=True, kw_only=True):
    """What a job waits for: `payload` is base64 of the exact bytes to sign (empty where a job is listed)."""

    payload: str = ""
    purpose: str = ""
    keyids: tuple[str, ...] = ()
    describe: dict[str, Any] = {}
    since: str = ""


class Part(Shape, frozen=True, kw_only=True):
    """A part of a job's work: a medium that is written and compared (`done` counts each byte twice), a volume that is
    read, or, of a collect, a blob that is fetched or a source that failed. `state` is writing, comparing, done, failed;
    waiting, reading, verified, missing, damaged; fetching. `about` says what failed, or which artifacts wait for the
    volume."""

    name: str
    medium: int = 1
    state: str
    done: int = 0
    total: int = 0
    about: str = ""


class Dismissed(Shape, frozen=True, kw_only=True):
    """Who has seen to a job that went wrong, and when."""

    by: str = ""
    at: str = ""


class Job(Shape, frozen=True, kw_only=True):
    """A job: `done` and `total` in bytes, `rate` in bytes a second, `seconds_left` None when not known. `params` and
    `result` depend on the kind; `waits_for` are the paths that a job in `waiting` must be handed again.
    `dismissed` says who has seen to one that went wrong, None where nobody has."""

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
    error: ErrorDocument | None = None
    parts: tuple[Part, ...] = ()
    actor: str = ""
    created: str = ""
    started: str | None = None
    finished: str | None = None
    to_sign: ToSign | None = None
    waits_for: tuple[dict[str, Any], ...] = ()
    dismissed: Dismissed | None = None

    @property
    def final(self) -> bool:
        return self.state in FINAL_STATES


class JobEvent(Shape, frozen=True, kw_only=True):
    """One server-sent event of a job: its new state, or a line of its log."""

    job: Job | None = None
    log: str | None = None


class LogPart(Shape, frozen=True, kw_only=True):
    """GET /v1/jobs/{id}/log: whole lines, and the offset of what follows, in bytes."""

    text: str
    offset: int
