"""A job as the control API shows it, and honest time left: from the same counters as everything else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.api.states import FINAL_STATES
from appliance.jobs.kinds import GONE
from appliance.store.ports import Reader
from appliance.store.reads.jobs import StoredJob, stored_job, stored_jobs
from bundles.errors import ERRORS_BY_NAME, FailedError

_WINDOW: Final = 15.0
"""Seconds over which a rate is taken: long enough to ride out an fsync, short enough to notice a slow medium."""

WAITS: Final = "wait for "
"""How the phase begins of a build that waits for another one's signature, of a transfer that waits for its hours,
of a diode's receiver that nothing comes to, and of a replica between two looks: it does nothing, and keeps nobody
out."""

_WAITING: Final = frozenset({"build", "sftp-push", "sftp-pull", "diode-receive", "replica"})


@dataclass(slots=True)
class Job:
    """A job. `done` and `total` are bytes of `phase`; `to_sign` says what a build waits for; `version` counts its
    changes, so that who looked away for a moment knows; `parts` are media or volumes by name, as they came; `waits_for`
    are the paths that a job in `waiting` must be handed again, each with whether it is written. `number` orders jobs as
    they were made, whatever the clock said."""

    id: str
    kind: str
    params: dict[str, Any]
    state: str
    actor: str
    created: str
    phase: str = ""
    done: int = 0
    total: int = 0
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    started: str | None = None
    finished: str | None = None
    to_sign: dict[str, Any] | None = None
    version: int = 0
    number: int = 0
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    waits_for: list[dict[str, Any]] = field(default_factory=list)
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def ended(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def works(self) -> bool:
        """Whether it takes one of the places of those that run."""
        return self.state == "running" and not (self.kind in _WAITING and self.phase.startswith(WAITS))

    def advance(self, phase: str, done: int, total: int) -> None:
        """Take in a progress line."""
        if phase != self.phase or done < self.done:
            self._seen.clear()
        self.phase, self.done, self.total = phase, done, total
        moment = time.monotonic()
        self._seen.append((moment, done))
        while moment - self._seen[0][0] > _WINDOW:
            self._seen.popleft()

    def take_part(self, part: dict[str, Any]) -> None:
        """Take in what is said of a part."""
        if part["state"] == GONE:
            self.parts.pop(part["name"], None)
        else:
            self.parts[part["name"]] = part

    def take_signature(self, keyid: str) -> None:
        """Ask for that key's signature no more; the job runs on where that was the last."""
        if self.to_sign is None:
            return
        missing = [one for one in self.to_sign["keyids"] if one != keyid]
        self.to_sign = {**self.to_sign, "keyids": missing} if missing else None
        if self.to_sign is None:
            self.state = "running"

    def stand_aside(self, paths: list[dict[str, Any]], waits: Mapping[str, str]) -> None:
        """Wait until a client hands `paths` over again; `waits`: the `path` that is missing, and `why`."""
        self.waits_for = paths
        self.state, self.done, self.total, self.to_sign = "waiting", 0, 0, None
        self.phase = f"waits for {waits['path']} ({waits['why']}): lockgate job resume {self.id}"
        self.parts.clear()

    @property
    def rate(self) -> float | None:
        """Bytes a second over the window, or None where nothing can be said yet."""
        if self.ended or len(self._seen) < 2:
            return None
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return (after - before) / (last - first) if last - first > 0.5 else None

    def to_json(self) -> dict[str, Any]:
        """The control API's form (docs/reference/control-api.md, Jobs)."""
        rate = self.rate
        left = (self.total - self.done) / rate if rate else None
        return {
            "id": self.id,
            "kind": self.kind,
            "params": self.params,
            "state": self.state,
            "phase": self.phase,
            "done": self.done,
            "total": self.total,
            "rate": rate,
            "seconds_left": left,
            "result": self.result,
            "error": _error_of(self.error) if self.error else None,
            "parts": list(self.parts.values()) or (self.error or {}).get("parts", []),
            "actor": self.actor,
            "created": self.created,
            "started": self.started,
            "finished": self.finished,
            "to_sign": self.to_sign,
            "waits_for": self.waits_for,
            "dismissed": (self.error or {}).get("dismissed"),
        }


def _error_of(stored: dict[str, Any]) -> dict[str, Any]:
    """An error document; one that an earlier version stored has the code of its kind."""
    kind = ERRORS_BY_NAME.get(str(stored.get("error", "")), FailedError)
    return {"code": kind.kind_code} | {key: value for key, value in stored.items() if key not in ("parts", "dismissed")}


def _job(stored: StoredJob) -> Job:
    return Job(
        id=stored.id, kind=stored.kind, params=stored.params, state=stored.state, actor=stored.actor,
        created=stored.created, phase=stored.phase, done=stored.done, total=stored.total, result=stored.result,
        error=stored.error, started=stored.started, finished=stored.finished, number=stored.number,
    )  # fmt: skip


def find_job(reader: Reader, job_id: str) -> Job | None:
    """The job of that id, or None."""
    stored = stored_job(reader, job_id)
    return None if stored is None else _job(stored)


def count_states(jobs: Iterable[Job]) -> dict[str, int]:
    """How many jobs run (or wait for a signature), are queued, and wait for a client's paths."""
    states = [job.state for job in jobs if not job.ended]
    queued, waiting = states.count("queued"), states.count("waiting")
    return {"running": len(states) - queued - waiting, "queued": queued, "waiting": waiting}


def jobs_with_live(reader: Reader, live: Mapping[str, Job], limit: int, after: str = "", state: str = "") -> list[Job]:
    """As `list_jobs`, those of `live` as they stand there. Fewer than `limit` are all that are left in that `state`."""
    if not state:
        return [live.get(job.id, job) for job in list_jobs(reader, limit, after)]
    before = find_job(reader, after) if after else None
    if after and before is None:
        return []
    in_state = sorted((job for job in live.values() if job.state == state), key=lambda job: job.number, reverse=True)
    found = [job for job in in_state if before is None or job.number < before.number][:limit]
    if state in FINAL_STATES:  # of some that ended the metadata could not be told yet
        known = {job.id for job in found}
        found += [job for job in list_jobs(reader, limit, after, state) if job.id not in known]
        found = sorted(found, key=lambda job: job.number, reverse=True)[:limit]
    return found


def list_jobs(reader: Reader, limit: int, after: str = "", state: str = "") -> list[Job]:
    """Jobs, the one made last first, those made before the job `after` where it is given."""
    return [_job(stored) for stored in stored_jobs(reader, limit, after, state)]
