"""What went wrong and is not resolved: refused, failed and incomplete jobs, equal ones together.

A trouble stays until it is resolved, or until a person dismisses it at the station. A later job resolves what failed or
was incomplete where it did the same: an import of the same bundle, anything else with the same words. What was refused
is resolved by no later job, except a gap that was filled: a forged bundle is refused under the name of a good one, and
the good one's import says nothing about it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from appliance.api.jobs import Job
from appliance.api.states import WRONG_STATES
from bundles.errors import GAP
from tui.station.port import Station

_BUNDLE: Final = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+-[0-9]{6,}")
"""A bundle's id: source, destination, number."""

_JOBS: Final = 200
"""Jobs of each state that are looked at, the newest first."""


@dataclass(frozen=True)
class Trouble:
    """Equal troubles: the newest job, and the ids of all of them."""

    job: Job
    ids: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.ids)


async def ended_jobs(station: Station) -> tuple[Job, ...]:
    """The jobs that went wrong, and those that may have resolved them."""
    jobs: list[Job] = []
    for state in WRONG_STATES:
        jobs += (await station.jobs(state=state, limit=_JOBS)).items
    if any(job.dismissed is None for job in jobs):
        jobs += (await station.jobs(state="done", limit=_JOBS)).items
    return tuple(jobs)


async def troubles(station: Station) -> tuple[Trouble, ...]:
    """Those of the station, the newest first."""
    return unresolved(await ended_jobs(station))


async def dismiss(station: Station, ids: Sequence[str]) -> None:
    """Say that a person has seen to them."""
    for job_id in ids:
        await station.dismiss_job(job_id)


def unresolved(jobs: Sequence[Job]) -> tuple[Trouble, ...]:
    """The troubles among jobs in any order, equal ones grouped, the newest first."""
    groups: dict[tuple[str, ...], list[Job]] = {}
    done: set[tuple[str, str]] = set()
    for job in sorted({job.id: job for job in jobs}.values(), key=lambda job: (job.created, job.id), reverse=True):
        if job.state == "done":
            done.update(_doings(job))
        elif job.state in WRONG_STATES and job.dismissed is None:
            refused = job.state == "refused" and (job.error is None or job.error.code != GAP)
            if refused or done.isdisjoint(_doings(job)):
                groups.setdefault(_sameness(job), []).append(job)
    return tuple(Trouble(group[0], tuple(job.id for job in group)) for group in groups.values())


def _doings(job: Job) -> Iterator[tuple[str, str]]:
    """What a job does: a later one that did the same resolves it."""
    if job.kind in ("import", "inspect"):
        yield from ((job.kind, name) for name in names_of(job))
    elif job.params:
        yield job.kind, json.dumps(job.params, sort_keys=True)


def names_of(job: Job) -> frozenset[str]:
    """The bundles that a job is about, by their ids; empty where it does not say. A medium's name is none."""
    result, params = job.result or {}, job.params
    found = {str(one) for one in (result.get("id"), params.get("id")) if one}
    if job.kind == "import":
        paths = params.get("paths")
        found |= {PurePath(str(path)).name for path in (paths if isinstance(paths, list) else ())}
        if job.error is not None:
            found.add(job.error.thing)
    return frozenset(name for name in found if _BUNDLE.fullmatch(name))


def _sameness(job: Job) -> tuple[str, ...]:
    error = job.error
    told = (error.code, error.what, error.thing) if error is not None else ()
    return job.kind, job.state, *told, *(() if error is not None else sorted(names_of(job)))
