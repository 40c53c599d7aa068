"""Stations that this one follows: the job of each is kept going, and what it found is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from appliance import clock
from appliance.api.states import LIVE_STATES
from appliance.api.transfers import Replica, ReplicaRepository, StuckTag
from appliance.jobs.documents import Job
from appliance.jobs.service import Jobs
from appliance.limits import jobs as job_limits
from appliance.limits import replication as limits
from appliance.replication import replica_state
from appliance.settings.replicas import ReplicaSettings
from appliance.station import Station
from bundles.errors import LockgateError
from bundles.io.display import safe, some

ACTOR = "station"
"""Whose act it is to follow."""

Values = Mapping[tuple[tuple[str, str], ...], float]


class Replicas:
    """The replicas of the station."""

    def __init__(self, station: Station, jobs: Jobs) -> None:
        self._jobs = jobs
        self._settings = dict(sorted(station.config.replicas.items()))
        self._paths = station.paths
        self._followed_by: dict[str, str] = {}
        self._again: dict[str, float] = {}
        self._faults: dict[str, str] = {}

    @property
    def follows(self) -> bool:
        """Whether there is one that the station follows by itself."""
        return any(one.follow for one in self._settings.values())

    async def keep_following(self) -> None:
        """See that each has its job. Until cancelled. One that a person cancelled stays so until the station starts
        anew."""
        while True:
            for name, settings in self._settings.items():
                if settings.follow:
                    await self._follow(name)
            await asyncio.sleep(limits.REPLICA_BEGIN)

    async def _follow(self, name: str) -> None:
        try:
            job = self._job(name)
            if job is not None and (not job.ended or job.state == "cancelled"):
                self._faults.pop(name, None)
                return
            if job is not None and time.monotonic() < self._again.setdefault(
                job.id, time.monotonic() + limits.REPLICA_BEGIN_AGAIN
            ):
                return
            begun = await self._jobs.submit("replica", {"name": name}, ACTOR)
            self._followed_by[name] = begun.id
            self._again.clear()
        except LockgateError as error:  # too many jobs, a disk that is nearly full: it is tried again
            self._faults[name] = error.diagnostics()

    def _job(self, name: str) -> Job | None:
        """The job that follows: the one that was begun, or that goes on since before the station was started."""
        if name in self._followed_by:
            return self._jobs.find(self._followed_by[name])
        for state in LIVE_STATES:
            for job in self._jobs.list(job_limits.JOBS_LIVE, state=state):
                if job.kind == "replica" and job.params.get("name") == name and not job.params.get("once"):
                    self._followed_by[name] = job.id
                    return job
        return None

    def told(self) -> list[Replica]:
        """How each stands. Blocking: a file each."""
        return [self._told(name, settings) for name, settings in self._settings.items()]

    def _told(self, name: str, settings: ReplicaSettings) -> Replica:
        found, now = replica_state.read(self._paths.replica(name)), clock.seconds(clock.now())
        return Replica(
            name=name, url=settings.url, account=settings.account, patterns=settings.repositories,
            every=settings.every, hours=settings.hours, rate=settings.rate, deletes=settings.deletes,
            follow=settings.follow, job=found.job, began=found.began, ended=found.ended, whole=found.whole,
            lag=_lag(found.whole, now), fault=self._faults.get(name) or found.fault,
            repositories=tuple(_repository(*one, now) for one in sorted(found.repositories.items())),
        )  # fmt: skip

    def check(self) -> dict[str, Any] | None:
        """The check `replicas` of the station's health; None where nothing is followed. Blocking."""
        if not self._settings:
            return None
        every = self.told()
        wrong = [text for one in every for text in _wrong(one)]
        if wrong:
            more = f" and {len(wrong) - 1} more" if wrong[1:] else ""
            detail = f"{safe(wrong[0])}{more}; see: lockgate replica status"
            return {"name": "replicas", "ok": False, "detail": detail}
        return {"name": "replicas", "ok": True, "detail": f"{some(len(every), 'station')} followed"}

    def gauges(self) -> dict[str, tuple[str, Values]]:
        """The metrics of replicas by name: text and values. Blocking. A lag that nobody knows has no value."""
        every = self.told()
        return {
            "lockgate_replica_lag_seconds": (
                "Seconds since everything of a replica was found as at its primary (M8)",
                {(("replica", one.name),): float(one.lag) for one in every if one.lag is not None},
            ),
            "lockgate_replica_repository_lag_seconds": (
                "The same of a repository; of those that lag the most (M8)",
                {
                    (("replica", one.name), ("repository", each.name)): float(each.lag)
                    for one in every
                    for each in sorted(one.repositories, key=lambda found: -(found.lag or 0))[: limits.REPLICA_SERIES]
                    if each.lag is not None
                },
            ),
            "lockgate_replica_behind_tags": (
                "Tags that are not here as at the primary, at the last look",
                {(("replica", one.name),): float(sum(each.behind for each in one.repositories)) for one in every},
            ),
            "lockgate_replica_conflicts": (
                "Tags that are not followed, since people must decide",
                {(("replica", one.name),): float(sum(each.conflicts for each in one.repositories)) for one in every},
            ),
            "lockgate_replica_up": (
                "1 where the last look could be finished",
                {(("replica", one.name),): float(bool(one.ended) and not one.fault) for one in every},
            ),
        }


def _repository(name: str, found: replica_state.RepositoryState, now: int) -> ReplicaRepository:
    return ReplicaRepository(
        name=name, equal=found.equal, lag=_lag(found.equal, now), tags=found.tags, behind=found.behind,
        gone=found.gone, conflicts=found.conflicts, withheld=found.withheld, fault=found.fault,
        stuck=tuple(StuckTag(tag=one.tag, why=one.why, here=one.here, there=one.there) for one in found.stuck),
    )  # fmt: skip


def _lag(since: str, now: int) -> int | None:
    return max(0, now - clock.seconds(since)) if since else None


def _wrong(one: Replica) -> list[str]:
    if one.fault:
        return [f"{one.name}: {one.fault}"]
    conflicts = sum(each.conflicts for each in one.repositories)
    if conflicts:
        return [f"{one.name}: {some(conflicts, 'tag')} not followed"]
    failed = [f"{one.name}: {each.fault}" for each in one.repositories if each.fault]
    if failed:
        return failed
    if one.follow and not one.hours:
        since = one.whole or one.began
        lag = _lag(since, clock.seconds(clock.now()))
        if lag is not None and lag > limits.REPLICA_LATE + one.every:
            return [f"{one.name}: nothing was found equal for {lag} s"]
    return []
