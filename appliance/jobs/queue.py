"""Which jobs are taken, and which of those that wait is next.

An account may have so many jobs that have not ended, and all accounts together so many. The upkeep of the station (what
the permission `operate` is for: gc, scrub) has places of its own, so that no client's jobs keep it out. Accounts take
turns, and so does the upkeep: whoever was served longest ago is next, with their oldest job.

So many jobs run at once, and beside them so many that go at the pace of another machine, which may be slow, or hold its
answers back: neither keeps the other out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance.jobs.documents import Job
from appliance.jobs.kinds import KINDS, kind_of
from appliance.limits import jobs as limits
from bundles.errors import FailedError

RUNNING: Final = 2
"""Jobs that run at once: one waits for a disk while one hashes. Those that wait for a signature do not count."""

CARRYING: Final = 2
"""Jobs of `_CARRIES` that run at once, beside those."""

_CARRIES: Final = frozenset({"sftp-push", "sftp-pull", "sftp-list", "diode-send", "diode-receive", "warm"})
"""Kinds that go at the pace of a transfer host, a link or an upstream. A collect is none: it makes SBOMs, which takes
memory."""

_UPKEEP: Final = (True, "")
_Turn = tuple[bool, str]
"""Whose turn it is: the upkeep's, or an account's."""


@dataclass(slots=True)
class JobQueue:
    """The queue over `live`, all jobs that have not ended, by id."""

    live: Mapping[str, Job]
    waiting: list[str] = field(default_factory=list)
    _coming: list[_Turn] = field(default_factory=list)
    _served: dict[_Turn, int] = field(default_factory=dict)
    _turns: int = 0

    @contextlib.contextmanager
    def place(self, kind: str, actor: str) -> Iterator[None]:
        """Hold a place while a job is made. Raises FailedError where there is none, UsageError for an unknown kind."""
        kind_of(kind)
        turn = _turn(kind, actor)
        self._check(turn)
        self._coming.append(turn)
        try:
            yield
        finally:
            self._coming.remove(turn)

    def _check(self, turn: _Turn) -> None:
        held = [_turn(job.kind, job.actor) for job in self.live.values()] + self._coming
        mine = held.count(turn)
        if mine >= (limits.JOBS_UPKEEP if turn == _UPKEEP else limits.JOBS_ACCOUNT):
            whose = "for the station's upkeep" if turn == _UPKEEP else f"of {turn[1]}"
            raise FailedError(
                "too many jobs have not ended",
                thing=f"{mine} {whose}",
                remedy="wait until one has, or end one with: lockgate job cancel ID (see: lockgate job list)",
            )
        others = len(held) - held.count(_UPKEEP)
        if turn != _UPKEEP and others >= limits.JOBS_LIVE:
            raise FailedError(
                "too many jobs have not ended",
                thing=f"{others} of all accounts",
                remedy="try again when some have (see: lockgate job list)",
            )

    def take(self, running: Iterable[Job] = ()) -> Job | None:
        """Take the next job out of the queue that may run beside those that do; None where there is none."""
        places = {True: CARRYING, False: RUNNING}
        for job in running:
            places[job.kind in _CARRIES] -= 1
        waiting = [job for job in map(self.live.__getitem__, self.waiting) if places[job.kind in _CARRIES] > 0]
        if not waiting:
            return None
        job = min(waiting, key=lambda one: self._served.get(_turn(one.kind, one.actor), 0))
        self.waiting.remove(job.id)
        self._turns += 1
        self._served[_turn(job.kind, job.actor)] = self._turns
        return job


def _turn(kind: str, actor: str) -> _Turn:
    known = KINDS.get(kind)  # a job of an earlier version may be of a kind that is gone
    return _UPKEEP if known is not None and known.permission == "operate" else (False, actor)
