"""The `replica` job: follow another station, until it is cancelled or, with `once`, until one round is over."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from appliance import clock
from appliance.audit.acts import Act
from appliance.jobs.documents import WAITS
from appliance.jobs.kinds import JobContext, PartlyDoneError, Result
from appliance.limits import collecting as collecting_limits
from appliance.limits import replication as limits
from appliance.outgoing.build_params import convert
from appliance.replication import replica_state
from appliance.replication.look import RepositoryLook
from appliance.replication.primary import find_replica
from appliance.replication.replica_state import ReplicaState, RepositoryState, Stuck
from appliance.replication.round import Found, run_round, stuck_error
from appliance.settings.replicas import ReplicaSettings
from appliance.sftp.pace import opens
from appliance.store.errors import EngineError
from bundles.errors import CancelledError, LockgateError, RefusedError, UsageError
from bundles.io.display import some
from bundles.oci.reference import Reference

_WAIT: Final = 0.25
"""Seconds between two looks at whether the job was cancelled."""


class ReplicaParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The job's params: the replica; whether one round is enough, also outside its hours (`now`); and tags that are
    taken as the primary has them, whatever stands here."""

    name: str
    once: bool = False
    now: bool = False
    take: list[str] = []


def run(context: JobContext) -> Result:
    """Follow. The result, of `once` alone: replica, began, repositories and tags (counted), followed and ended
    [REPO:TAG], gone (tags that are here and not there), stuck [{tag, why, here, there}], failed [{thing, why}].

    Raises UsageError, RefusedError, FailedError where the primary could not be looked at, PartlyDoneError (exit 4)
    where anything could not be compared or is not here as there.
    """
    params = convert(context.params, ReplicaParams)
    settings = find_replica(context.station.config.replicas, params.name)
    _check_taken(params)
    following = _Following(context, params, settings)
    return following.once() if params.once else following.follow()


def _check_taken(params: ReplicaParams) -> None:
    """Raises UsageError for what is no tag, or without `once`."""
    if params.take and not params.once:
        raise UsageError(
            "tags are taken by one sync", thing=params.take[0][:80], remedy="see: lockgate replica sync --help"
        )
    if len(params.take) > limits.REPLICA_TAKEN:
        raise UsageError(
            "too many tags to take", thing=str(len(params.take)), remedy=f"at most {limits.REPLICA_TAKEN} at once"
        )
    for text in params.take:
        reference = Reference.parse(text)
        if reference.tag is None or reference.digest is not None:
            raise UsageError("--take takes a tag", thing=text[:80], remedy="write REPO:TAG")


class _Following:
    def __init__(self, context: JobContext, params: ReplicaParams, settings: ReplicaSettings) -> None:
        self._context, self._params, self._settings = context, params, settings
        self._file = context.station.paths.replica(params.name)
        self._said: dict[str, str] = {}
        """What was last recorded of each thing that failed: a failure that lasts is recorded once."""
        self._seen: set[str] = set()

    def once(self) -> Result:
        """One round."""
        opening = self._opens()
        if opening is not None and not self._params.now:
            raise RefusedError(
                "the replica's window is closed", thing=f"{self._params.name} until {opening:%H:%M} UTC",
                remedy="wait for it, or use --now",
            )  # fmt: skip
        try:
            found = self._round()
        except LockgateError as error:
            self._failed(Act.REPLICA_SYNC, self._params.name, error)
            raise
        result = _result(self._params.name, found)
        if not found.is_whole:
            raise PartlyDoneError(
                "not everything is here as at the primary", thing=_left(found), remedy="see: lockgate replica status"
                f" {self._params.name}", result=result,
            )  # fmt: skip
        return result

    def follow(self) -> Result:
        """Rounds, until the job is cancelled. Raises CancelledError, EngineError."""
        while True:
            opening = self._opens()
            if opening is None:
                self._seen = set()
                try:
                    self._round()
                except (CancelledError, EngineError):
                    raise
                except LockgateError as error:
                    self._failed(Act.REPLICA_SYNC, self._params.name, error)
                self._said = {thing: what for thing, what in self._said.items() if thing in self._seen}
            phase = f"{WAITS}the next look" if opening is None else f"{WAITS}{opening:%H:%M} UTC"
            self._rest(phase, self._settings.every)

    def _opens(self) -> datetime | None:
        return opens(self._settings.hours, datetime.fromtimestamp(clock.seconds(clock.now()), UTC))

    def _rest(self, phase: str, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._context.progress(phase, 0, 0)
            time.sleep(min(_WAIT, left))

    def _round(self) -> Found:
        """One round, alone, and noted: what it found, or why it could not be finished."""
        with self._alone():
            before = replica_state.read(self._file)
            began = clock.now()
            self._write(before, began=began, ended="")
            try:
                found = run_round(self._context, self._params.name, self._settings, self._params.take, self._failed)
            except LockgateError as error:
                self._write(
                    before,
                    began=began,
                    ended=clock.now(),
                    fault=error.diagnostics()[: collecting_limits.COLLECT_REASON],
                )
                raise
            repositories = {
                name: _standing(one, before.repositories.get(name), found.began, deletes=found.deletes)
                for name, one in found.repositories.items()
            }
            self._write(
                before, began=found.began, ended=clock.now(), fault="", repositories=repositories,
                whole=found.began if found.is_whole else before.whole,
            )  # fmt: skip
            if found.followed or found.ended:
                gone = f", {some(len(found.ended), 'tag')} let go" if found.ended else ""
                self._context.log(f"followed {some(len(found.followed), 'tag')}{gone}")
            return found

    def _write(self, before: ReplicaState, **changes: Any) -> None:
        job = before.job if self._params.once else self._context.job_id
        replica_state.write(self._file, msgspec.structs.replace(before, job=job, **changes))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else compares this replica meanwhile. Raises CancelledError."""
        descriptor = os.open(
            self._context.station.paths.replica_lock(self._params.name),
            os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600,
        )  # fmt: skip
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._context.progress(f"{WAITS}the look under way", 0, 0)
                    time.sleep(_WAIT)
            yield
        finally:
            os.close(descriptor)

    def _failed(self, act: Act, thing: str, error: LockgateError) -> None:
        """Record a failure, where it is another one than at the look before."""
        self._seen.add(thing)
        said = f"{error.code}: {error.what}"
        if self._said.get(thing) != said:
            self._said[thing] = said
            self._context.record_failure(act, thing, error)
            self._context.log(f"[!!] {error.diagnostics()}")


def _standing(found: RepositoryLook, before: RepositoryState | None, began: str, *, deletes: bool) -> RepositoryState:
    ends = [one for one in found.gone if deletes and f"{one.repository}:{one.tag}" not in found.failed]
    behind = found.behind + len(ends)
    equal = began if not behind else "" if before is None else before.equal
    first = next(iter(found.failed.values()), None)
    return RepositoryState(
        equal=equal, tags=found.tags, behind=behind, gone=len(found.gone), conflicts=len(found.stuck),
        withheld=len(found.withheld), stuck=tuple(
            Stuck(tag=one.tag, why=str(one.verdict), here=one.here, there=one.there)
            for one in found.stuck[: limits.REPLICA_TOLD]
        ),
        fault="" if first is None else first.diagnostics()[: collecting_limits.COLLECT_REASON],
    )  # fmt: skip


def _result(name: str, found: Found) -> Result:
    every = list(found.repositories.values())
    return {
        "replica": name, "began": found.began, "repositories": len(every), "tags": sum(one.tags for one in every),
        "followed": sorted(found.followed), "ended": sorted(found.ended), "gone": sum(len(one.gone) for one in every),
        "blocked": found.blocked, "withheld": sum(len(one.withheld) for one in every),
        "stuck": [
            {"tag": f"{each.repository}:{each.tag}", "why": str(each.verdict), "here": each.here, "there": each.there}
            for one in every for each in one.stuck[: limits.REPLICA_TOLD]
        ],
        "failed": [
            {"thing": thing, "why": error.diagnostics()[: collecting_limits.COLLECT_REASON]}
            for one in every for thing, error in _some(list(one.failed.items()))
        ],
    }  # fmt: skip


def _some(failed: Sequence[tuple[str, LockgateError]]) -> Sequence[tuple[str, LockgateError]]:
    return failed[: limits.REPLICA_TOLD]


def _left(found: Found) -> str:
    """The first thing that is not here as there, and how many more there are."""
    said = []
    for one in found.repositories.values():
        said += [error.diagnostics() for error in one.failed.values()]
        said += [stuck_error(each).diagnostics() for each in one.stuck]
        said += [f"{each.repository}:{each.tag} is still behind" for each in one.todo]
        said += [f"{each.repository}:{each.tag} is gone there" for each in one.gone if found.deletes]
    more = f" (and {len(said) - 1} more)" if said[1:] else ""
    return f"{said[0][:200]}{more}"
