"""Jobs as spans: each from its order to its end, with the phases that it went through below it."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.jobs.documents import Job
from appliance.tracing.context import TraceContext, new_span
from appliance.tracing.spans import Span, Value
from appliance.tracing.tracer import Tracer
from bundles.errors import LockgateError
from bundles.io.files import read_small, write_atomic

_FILE: Final = "trace.json"
_MOST: Final = 1_000
_PHASES: Final = 200
"""Phases of a job that become spans, its first ones."""

_NAME: Final = 100
"""Characters of a phase's name."""

_BAD: Final = frozenset({"failed", "refused", "incomplete"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job is in a trace: below `sent`, which its client named; what it leads to is below `own`. Without a
    tracer the two are the same."""

    own: TraceContext
    sent: TraceContext | None

    def keep(self, folder: Path) -> None:
        """Keep it in the job's folder, for its process and for a control process that comes later. Blocking."""
        said = {"own": str(self.own), "sent": "" if self.sent is None else str(self.sent)}
        write_atomic(folder / _FILE, json.dumps(said).encode(), 0o600)


def place_of(folder: Path) -> Place | None:
    """What `Place.keep` kept; None where nothing was, or nothing that holds. Blocking."""
    with contextlib.suppress(OSError, LockgateError, ValueError, RecursionError, AttributeError):
        said = json.loads(read_small(folder / _FILE, _MOST))
        own, sent = (TraceContext.parse([str(said.get(key, ""))]) for key in ("own", "sent"))
        return None if own is None else Place(own, sent)
    return None


def passed_on(folder: Path) -> str:
    """The `traceparent` of what a job asks other programs for, "" for none. Blocking."""
    place = place_of(folder)
    return "" if place is None else str(place.own)


@dataclass(slots=True)
class _Trail:
    place: Place
    begun: int
    name: str = ""
    since: int = 0
    phases: list[tuple[str, int, int]] = field(default_factory=list)


class JobTrails:
    """Of all live jobs. For the event loop's thread."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        """Without a `tracer` what clients say is passed on, and nothing is recorded."""
        self._tracer = tracer
        self._trails: dict[str, _Trail] = {}

    def place(self, sent: TraceContext | None) -> Place | None:
        """The place of a new job whose client named `sent`; None where there is none to be passed on."""
        if self._tracer is None:
            return None if sent is None else Place(sent, sent)
        return Place(TraceContext.begin() if sent is None else sent.child(new_span(), sampled=True), sent)

    def begin(self, job: Job, place: Place | None) -> None:
        """A job was made, or is taken up again: what it did before is not told then."""
        if self._tracer is not None and place is not None and place.own != place.sent:
            self._trails[job.id] = _Trail(place, clock.seconds(job.created) * 1_000_000_000)
            self.changed(job)

    def changed(self, job: Job) -> None:
        """A job has perhaps another state or phase than before."""
        trail = self._trails.get(job.id)
        if trail is None:
            return
        name = (job.phase if job.state == "running" and job.phase else job.state)[:_NAME]
        if name != trail.name:
            moment = time.time_ns()
            if trail.name and len(trail.phases) < _PHASES:
                trail.phases.append((trail.name, trail.since, moment))
            trail.name, trail.since = name, moment

    def ended(self, job: Job) -> None:
        """A job ended: it is recorded."""
        trail = self._trails.pop(job.id, None)
        if trail is None or self._tracer is None:
            return
        moment, own, sent = time.time_ns(), trail.place.own, trail.place.sent
        phases = trail.phases if trail.name == job.state else [*trail.phases, (trail.name, trail.since, moment)]
        begun = min([trail.begun, *(since for _, since, _ in phases)])
        said: dict[str, Value] = {
            "lockgate.job.id": job.id,
            "lockgate.job.kind": job.kind,
            "lockgate.job.state": job.state,
            "user.name": job.actor,
        }
        error = str((job.error or {}).get("code") or job.state) if job.state in _BAD else ""
        root = Span(own.trace, own.span, f"job {job.kind}", begun, moment, parent="" if sent is None else sent.span,
                    remote=sent is not None, error=error, attributes=said)  # fmt: skip
        below = [Span(own.trace, new_span(), name, since, until, parent=own.span) for name, since, until in phases]
        self._tracer.take([root, *below])
