"""The `collect` job: artifacts from layouts, files and registries into the store, on one event loop.

What lies on this machine is taken first, one source after another; then registries are asked for several references at
once, each of their blobs fetched once. A blob is recorded as soon as it is durable, and not fetched again, so a job
that was cut off goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import traceback
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.jobs.kinds import JobContext, PartlyDoneError, Result, lacked_memory
from appliance.jobs.trails import passed_on
from appliance.limits import collecting as limits
from appliance.limits import jobs as job_limits
from appliance.outgoing.collect import adopting
from appliance.outgoing.collect.arrivals import Arrivals, Meter
from appliance.outgoing.collect.choosing import ManySource
from appliance.outgoing.collect.collector import Collector
from appliance.outgoing.collect.evidence import NoMemory, StationMemory
from appliance.outgoing.collect.host_client import Hosts
from appliance.outgoing.collect.kept import KeptBytes
from appliance.outgoing.collect.opening import Given, Registries, check_names, open_given, require_names
from appliance.outgoing.collect.planning import Plan, Planned, plan_of, weighed
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.sources import Root, closing_all
from appliance.outgoing.collect.station_accesses import accesses_of
from appliance.outgoing.collect.tasks import FirstAlone, all_of, end, in_thread
from appliance.store.collection_lock import incoming_turn
from appliance.store.errors import EngineError
from bundles.errors import CancelledError, FailedError, LockgateError, UsageError
from bundles.io.display import safe, some
from bundles.io.threads import Threads
from bundles.oci.digest import Digest

_LOOK: Final = 0.1
"""Seconds between two looks at whether the job was cancelled, while registries are waited for."""

_NAMED: Final = 5
"""Sources that the error of a job names which some of them failed."""


def run(context: JobContext) -> Result:
    """Collect `params["sources"]`, each `{kind: one of opening.PATHS or registry, …, as}`; with `update` registries are
    asked again for what refers to a digest. Returns `{"references": [...]}`, in `left_out` the foreign layers that a
    source does not hold, in `notes` what is to be said of tags, in `failed` the places of sources that failed. With
    `plan` nothing is taken: `planned` says what would be (planning.Planned). A source that is `last` is taken after the
    others, and only where none of them failed. A source of kind `tags` or `registry-folder` is a source
    for each tag that is chosen first; `selected` says what was left out, by why (selecting.selection.Choice).

    A source that fails does not end the others: it is a part of the job, in the state `failed` and with its reason.
    Raises the error of an only source, PartlyDoneError where one of several failed, UsageError before anything is read.
    """
    update = context.params.get("update", False)
    if not isinstance(update, bool):
        raise UsageError("`update` is true or false", thing=repr(update)[:60])

    plan = plan_of(context.params)

    def hashed(done: int, total: int) -> None:
        context.progress("hash", done, total)

    collect: _Collect | None = None
    try:
        with incoming_turn(context.station.paths, context.progress, collects=False), closing_all([]) as opened:
            hosts = Hosts(say=lambda text: context.log(f"[!!] {text}"), trace=passed_on(context.folder))
            memory = NoMemory() if update else StationMemory(context.station)
            kept = KeptBytes(limits.COLLECT_MEMORY)
            registries = Registries(hosts, accesses_of(context), memory, kept)
            given: list[Given] = []
            many: list[ManySource] = []
            selected: list[dict[str, Any]] = []
            for place, entry in enumerate(context.params["sources"]):
                if entry["kind"] == "tags":
                    many.append(ManySource(context, entry, place, registries))
                    continue
                if entry["kind"] == adopting.KIND:
                    chosen = adopting.adopted(context, entry, place)
                    given += chosen.given
                    selected.append(chosen.said)
                    continue
                given.append(open_given(context, place, entry, hashed, registries))
                opened += [one for one in (given[-1].local,) if one is not None]
            check_names(context, given)
            collect = _Collect(context, hosts, given, many, selected, plan, kept)
            return asyncio.run(collect.run())
    except LockgateError as error:
        if collect is None or not collect.has_failed:
            context.record_failure(Act.COLLECT, context.job_id, error)
        raise


class _Collect:
    """One run over all sources."""

    def __init__(
        self,
        context: JobContext,
        hosts: Hosts,
        given: Sequence[Given],
        many: Sequence[ManySource],
        selected: Sequence[dict[str, Any]],
        plan: Plan,
        kept: KeptBytes,
    ) -> None:
        self._kept = kept
        self._context, self._hosts, self._plan = context, hosts, plan
        self._given, self._many = list(given), many
        self._selected = list(selected)
        """What was chosen of each source that is many."""
        self._planned: dict[int, list[Planned]] = {}
        self._counted: set[Digest] = set()
        self._meter = Meter(context)
        self._shows = FirstAlone(limits.COLLECT_AT_ONCE)
        self._things: dict[int, str] = {}
        """What each source is at."""
        self._references: dict[int, list[str]] = {}
        self._left: list[str] = []
        self._notes: list[str] = []
        self.failed: dict[int, LockgateError] = {}
        """The errors of sources, by their numbers; each is in the audit log. A tag that was chosen is a source."""
        self._unchosen: list[tuple[ManySource, LockgateError]] = []
        """Sources of many tags of which none could be chosen."""

    @property
    def has_failed(self) -> bool:
        """Whether a source failed, which is then in the audit log."""
        return bool(self.failed or self._unchosen)

    async def run(self) -> Result:
        """As `run`."""
        asyncio.get_running_loop().set_default_executor(Threads(limits.COLLECT_THREADS))
        try:
            if self._many:
                await self._watched(all_of(self._choose(many) for many in self._many))
                self._given.sort(key=lambda one: one.place)
                require_names(self._given)
            return await self._take_all()
        finally:
            await self._hosts.close()

    async def _choose(self, many: ManySource) -> None:
        """Make one source of many tags into those that are chosen. What fails is kept, as in `_take`."""
        try:
            chosen = await many.choose()
        except (CancelledError, EngineError):
            raise
        except Exception as error:
            failed = self._explained(many.text, error)
        else:
            self._given += chosen.given
            self._selected.append(chosen.said)
            self._context.log(f"chose {chosen.said['chosen']} of {some(chosen.said['tags'], 'tag')}: {many.text}")
            return
        self._unchosen.append((many, failed))
        await self._record(many.text, many.text, failed)

    async def _take_all(self) -> Result:
        arrivals = Arrivals(self._context, self._meter, self._kept)
        remote = {
            number: one.source.host for number, one in enumerate(self._given)
            if isinstance(one.source, RemoteSource) and not one.last
        }  # fmt: skip
        room = asyncio.Semaphore(limits.COLLECT_AT_ONCE_IN_ALL)
        of_host: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limits.COLLECT_AT_ONCE))
        try:
            last = [number for number, one in enumerate(self._given) if one.last]
            for number in range(len(self._given)):
                if number not in remote and number not in last:
                    await self._take(number, arrivals)
            await self._watched(
                all_of(self._take_in(of_host[host], room, number, arrivals) for number, host in remote.items())
            )
            for number in last:
                await (self._leave_out(number) if self.has_failed else self._take(number, arrivals))
        finally:
            await arrivals.recorded()
        references = [reference for number in sorted(self._references) for reference in self._references[number]]
        result: Result = {"references": references, "left_out": self._left, "notes": self._notes}
        if self._plan:
            result["planned"] = [asdict(one) for number in sorted(self._planned) for one in self._planned[number]]
        if self._selected or self._many:
            result["selected"] = sorted(self._selected, key=lambda one: int(one["source"]))
        if self.has_failed:
            places = {self._given[number].place for number in self.failed} | {many.place for many, _ in self._unchosen}
            raise self._summary({**result, "failed": sorted(places)})
        return {**result, "failed": []}

    async def _watched(self, work: Coroutine[Any, Any, object]) -> None:
        """Do work that may wait for long, and look whether the job was cancelled meanwhile. Raises CancelledError."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_LOOK)
                if not task.done():
                    self._meter.attend()
            task.result()
        finally:
            await end([task])

    async def _take_in(
        self, of_host: asyncio.Semaphore, room: asyncio.Semaphore, number: int, arrivals: Arrivals
    ) -> None:
        """Take a source in its host's turn first: one registry that keeps everybody waiting holds up its own alone."""
        async with of_host, room:
            await self._take(number, arrivals)

    async def _take(self, number: int, arrivals: Arrivals) -> None:
        """Take all that a source gives. What fails is kept, whatever it is: what one registry sends must not end the
        others. Raises CancelledError, EngineError alone."""
        taken = self._references.setdefault(number, [])
        self._things[number] = self._given[number].text
        try:
            await self._take_roots(number, taken, arrivals)
            return
        except (CancelledError, EngineError):
            raise
        except Exception as error:
            failed = self._explained(self._given[number].text, error)
        # Outside the handler, so that what the error holds in its frames is gone where memory is what lacked.
        self.failed[number] = failed
        await self._record(self._things[number], self._given[number].text, failed)

    async def _record(self, thing: str, text: str, failed: LockgateError) -> None:
        """Record that a source failed at a thing, and name it among the job's parts."""
        async with self._shows.turn():
            await in_thread(self._context.record_failure, Act.COLLECT, thing, failed)
        if len(self._given) + len(self._many) > 1:
            self._context.part(text, 1, "failed", 0, 0, failed.diagnostics()[: limits.COLLECT_REASON])

    async def _take_roots(self, number: int, taken: list[str], arrivals: Arrivals) -> None:
        async for root in self._given[number].source.roots():
            self._things[number] = str(root.target)
            self._given[number].pins.require(root)
            if self._plan:
                self._planned.setdefault(number, []).append(await self._look(number, root))
            else:
                taken.append(await self._collect(number, root, arrivals))
        self._given[number].pins.require_all()

    def _explained(self, text: str, error: Exception) -> LockgateError:
        """What the failure of the source `text` is called. What nobody foresaw gets a reference, under which its
        traceback stands in the job's log."""
        if lacked_memory(error):
            return FailedError(
                f"the source needs more memory than the {job_limits.JOB_DATA >> 20} MiB that a job may use", thing=text,
                remedy="collect it alone; where that fails too, copy what is wanted of it into an OCI layout",
            )  # fmt: skip
        if isinstance(error, LockgateError):
            return error
        reference = secrets.token_hex(4)
        self._context.log(f"[!!] error {reference}: {safe(text)}: {type(error).__name__}: {safe(str(error)[:200])}")
        with contextlib.suppress(OSError):  # a disk that takes no traceback must not keep the end from being said
            print(f"error {reference}\n{''.join(traceback.format_exception(error))}", file=sys.stderr, flush=True)
        return FailedError(
            "an internal error", thing=text, remedy=f"look for `error {reference}` in the job's log, and report it"
        )

    async def _look(self, number: int, root: Root) -> Planned:
        """What would be taken."""
        context, given = self._context, self._given[number]
        planned = Planned(given.place, str(root.target), str(root.descriptor.digest), why=given.why)
        if self._plan == "bytes":
            return await weighed(context.station, context.actor, given, root, planned, self._counted)
        return planned

    async def _collect(self, number: int, root: Root, arrivals: Arrivals) -> str:
        """Take one artifact; its reference here."""
        given = self._given[number]
        collector = Collector(self._context, given.source, root, arrivals, self._shows, given.platforms)
        before = self._before(root)
        await collector.take()
        self._left += collector.left
        for note in filter(None, (root.note, before, *collector.notes())):
            self._notes.append(note)
            self._context.log(f"[!!] {note}")
        self._context.log(f"collected {root.target} as {root.descriptor.digest}")
        return str(root.target)

    def _before(self, root: Root) -> str:
        """What is to be said of a tag that stands at something else, as a copy says it; "" where it does not move."""
        if root.target.tag is None:
            return ""
        before = self._context.station.metadata.tag_target(root.target.repository, root.target.tag)
        return "" if before in (None, str(root.descriptor.digest)) else f"{root.target} stood at {before}"

    async def _leave_out(self, number: int) -> None:
        """Leave out a source that speaks for the others, such as their lock: one of them failed."""
        text, error = self._given[number].text, self._given[number].left_out()
        self.failed[number] = error
        await in_thread(self._context.record_failure, Act.COLLECT, text, error)
        self._context.part(text, 1, "failed", 0, 0, error.diagnostics()[: limits.COLLECT_REASON])

    def _summary(self, result: Result) -> LockgateError:
        """How a job with failed sources ends, which are named with their reasons in its log."""
        failed = [(self._given[number].text, error) for number, error in sorted(self.failed.items())]
        failed += [(many.text, error) for many, error in self._unchosen]
        count = len(self._given) + len(self._unchosen)
        if count == 1:
            return failed[0][1]
        for text, error in failed:
            self._context.log(f"[!!] not collected: {text}: {error.diagnostics()}")
        names = [text for text, _ in failed]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return PartlyDoneError(
            f"{len(names)} of {count} sources were not collected",
            thing=", ".join(names[:_NAMED]) + more,
            remedy="the log says why; then: lockgate collect --retry-failed",
            result=result,
        )
