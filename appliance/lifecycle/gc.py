"""The `gc` job: takes away what nothing shows, pins or waits for. Safe beside pushes, pulls, mounts and imports.

The metadata is checked first: where its structure is damaged nothing is collected, and what a damaged row may stand for
is left alone (appliance.lifecycle.doubtful). Then, where it is asked for,
manifests to which no tag leads lose their link (appliance.lifecycle.gc_untagged). Then blobs that no manifest of
their repository names lose their link there, after a day of grace. Then every blob that has neither a link nor a pin
goes, metadata first and file second, a batch at a time under the store's gate (appliance.store.collection_lock): a push
is either linked before the batch looks, or its file comes after. Files go to the graveyard (appliance.store.graveyard),
which is emptied after its time of grace. What a standing release shows by the audit log stays, also where its links are
gone (appliance.release_check.standing_content). Last, what uploads and imports left behind. Killed at any moment, it
has only left garbage for the next run.

Looking holds no lock. Each batch that changes something takes the turn of imports and collects for itself, so these
wait for one batch and never for the whole collection.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording
from appliance.jobs.kinds import JobContext, Result
from appliance.lifecycle.doubtful import DoubtfulRows
from appliance.lifecycle.forgotten import require_whole
from appliance.lifecycle.gc_retired import RetiredTags, take_retired
from appliance.lifecycle.gc_untagged import Taken, UntaggedCollection
from appliance.lifecycle.graves import Graves, shut_since_a_restore
from appliance.lifecycle.marks import Unreferenced, Waiting, WaitingBuilds, unreferenced
from appliance.lifecycle.metadata_check import check
from appliance.limits import lifecycle as limits
from appliance.limits import registry as registry_limits
from appliance.making_room import Emptied
from appliance.release_check.standing_content import StandingContent, standing_content
from appliance.station import Station
from appliance.store.collection_lock import CollectionLock, incoming_turn
from appliance.store.engine import engine_of
from appliance.store.integrity import damaged
from appliance.store.reads import garbage
from appliance.store.reserve import Reserve
from appliance.store.uploads import UploadSessions
from appliance.store.writes.lifecycle import ForgetBlobs, UnlinkBlobs
from bundles.errors import FailedError, NotFoundError, RefusedError, UsageError
from bundles.io.display import some
from bundles.io.times import later
from bundles.oci.digest import Digest


@dataclass(slots=True)
class _Taken:
    """What was taken, or would be."""

    blobs: int = 0
    bytes: int = 0
    links: int = 0
    uploads: int = 0
    kept: int = 0
    doubtful: int = 0
    named: list[dict[str, Any]] = field(default_factory=list)

    def blob(self, digest: str, size: int) -> None:
        self.blobs += 1
        self.bytes += size
        if len(self.named) < limits.GC_NAMED:
            self.named.append({"digest": digest, "size": size})


def run(context: JobContext) -> Result:
    """Collect garbage; with `params["dry_run"]` only say what would go, with `params["now"]` remove for good at once
    what it takes and what waits in the graveyard. While imports are shut since a restore, `now` is refused. With
    `params["untagged"]` also manifests to which no tag has led for `older_than` seconds (`limits.UNTAGGED_OLDER`).

    The result: dry_run, now, blobs, bytes, links, uploads, kept (blobs that only the audit log keeps), doubtful {rows
    [text], blobs} (damaged rows that nothing proves, and blobs that stay since one of these may stand for them), named
    [{digest, size}], emptied {blobs, bytes} (removed for good), graveyard {blobs, bytes, oldest} (what waits there at
    the end), waiting {blobs, until} (what no manifest names and is younger than limits.UNREFERENCED, and until when),
    untagged (None, or {manifests, repositories, named [{repository, digest, kind, size, since}], kept {why: how
    many}}), retired (with `params["retired"]`, else None: the tags of what is retired that went, {tags, named
    [{repository, tag, digest}], kept {why: how many}}). Raises UsageError, RefusedError, FailedError.
    """
    flags = {name: context.params.get(name, False) for name in ("dry_run", "now", "untagged", "retired")}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise UsageError(f"{name} is true or false", thing=repr(value)[:60])
    older_than = _age(context.params.get("older_than"), flags["untagged"])
    with standing_content(context.station, lambda: context.progress("read what releases show", 0, 0)) as standing:
        return _Collection(context, standing, **flags, older_than=older_than).run()


def _age(value: object, untagged: bool) -> int:
    """The seconds that a parameter gives. Raises UsageError."""
    if value is None:
        return limits.UNTAGGED_OLDER
    if not untagged:
        raise UsageError("older_than is about what has no tag", thing=repr(value)[:60], remedy="give untagged, too")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limits.UNTAGGED_OLDER_MOST:
        raise UsageError(
            "older_than is a whole number of seconds", thing=repr(value)[:60],
            remedy=f"from 0 to {limits.UNTAGGED_OLDER_MOST}",
        )  # fmt: skip
    return value


class _Collection:
    def __init__(
        self, context: JobContext, standing: Callable[[], StandingContent], *, dry_run: bool, now: bool, untagged: bool,
        retired: bool, older_than: int,
    ) -> None:  # fmt: skip
        self._standing = standing
        self._context, self._dry_run, self._now = context, dry_run, now
        self._before = clock.after(-older_than) if untagged else ""
        self._untagged: Taken | None = None
        self._retired: RetiredTags | None = RetiredTags() if retired else None
        self._station: Station = context.station
        self._full = bool(Reserve(context.station.paths.reserve).read_only())
        self._gate = CollectionLock(context.station.paths)
        self._taken = _Taken()
        self._builds = WaitingBuilds(context.station)
        self._unlinked: Counter[str] = Counter()
        self._waiting, self._newest = 0, ""
        self._doubtful, self._wrong = DoubtfulRows(context.station.reader, (), ()), list[str]()

    def run(self) -> Result:
        self._context.progress("check the metadata", 0, 0)
        engine_of(self._station.reader).keep_pages(self._station.reader, limits.READ_ALL_PAGES)
        self._station.blobs.require_here()
        require_whole(self._station.paths, self._station.config)
        if self._now and (why := shut_since_a_restore(self._station)):
            raise RefusedError(
                "nothing is removed for good: the metadata forgot what came in since its copy was made",
                thing=why, remedy="put the newest copy back, or say that this is it (lockgate status); or leave --now",
            )  # fmt: skip
        found = check(
            self._station, self._context.actor, lambda: self._context.progress("check the metadata", 0, 0),
            self._context.log,
        )  # fmt: skip
        if found.structure:
            raise damaged(found.structure, self._station.config.side)
        self._wrong = found.texts
        self._doubtful = DoubtfulRows(self._station.reader, found.tags, found.links)
        if self._doubtful and self._now:
            raise RefusedError(
                "nothing is removed for good: a damaged row may stand for what waits in the graveyard",
                thing=found.texts[0], remedy="put it right, as lockgate status names it; or collect without --now",
            )  # fmt: skip
        self._builds.refresh()
        grace = 0.0 if self._now else self._station.config.gc_grace_hours * 3600.0
        graves = Graves(self._station, self._context.actor, lambda: self._context.progress("empty the graveyard", 0, 0))
        if self._dry_run:
            self._take_retired()
            self._take_untagged()
            self._unlink()
            self._take_blobs()
            emptied = graves.would_empty(grace)
            if not grace:
                emptied = Emptied(emptied.blobs + self._taken.blobs, emptied.bytes + self._taken.bytes)
        else:
            with recording(self._station.audit, self._moment("begun")):
                self._take_retired()
                self._take_untagged()
                self._unlink()
                self._take_blobs()
                self._sweep()
            self._station.audit.record(self._moment("ended"))
            emptied = graves.empty(grace)
            more = graves.make_room()
            emptied = Emptied(emptied.blobs + more.blobs, emptied.bytes + more.bytes)
        taken = self._taken
        return {
            "dry_run": self._dry_run, "now": self._now, "blobs": taken.blobs, "bytes": taken.bytes,
            "links": taken.links, "uploads": taken.uploads, "kept": taken.kept,
            "doubtful": {"rows": self._wrong, "blobs": taken.doubtful}, "named": taken.named,
            "emptied": asdict(emptied), "graveyard": asdict(self._station.blobs.graveyard.totals()),
            "waiting": {"blobs": self._waiting, "until": self._until()},
            "untagged": None if self._untagged is None else self._untagged.to_json(),
            "retired": None if self._retired is None else asdict(self._retired),
        }  # fmt: skip

    def _until(self) -> str | None:
        """When the last of the blobs that wait for their manifest may be taken."""
        return later(self._newest, timedelta(seconds=limits.UNREFERENCED)) if self._newest else None

    def _moment(self, moment: str) -> AuditEvent:
        taken = self._taken
        detail = {"moment": moment, "blobs": taken.blobs, "bytes": taken.bytes, "links": taken.links}
        return AuditEvent(Act.GC, self._context.actor, "store", "done", detail)

    def _take_retired(self) -> None:
        if self._retired is None:
            return
        if self._doubtful:
            self._context.log("no tag of what is retired was taken: a damaged row may be of another one")
            return
        self._context.progress("look for what is retired", 0, 0)
        self._retired = take_retired(
            self._station, self._context.actor, self._turn, self._context.log, dry_run=self._dry_run
        )

    def _take_untagged(self) -> None:
        if not self._before:
            return
        if self._doubtful:
            self._untagged = Taken()
            self._context.log("nothing without a tag was taken: a damaged row may be the tag that leads to it")
            return
        phase = "look for manifests without a tag"
        work = UntaggedCollection(
            self._station, self._context.actor, self._before, building=self._builds, turn=self._turn,
            log=self._context.log, attend=lambda: self._context.progress(phase, 0, 0),
        )  # fmt: skip
        self._untagged = work.run(dry_run=self._dry_run)
        if self._dry_run:
            for digests in self._untagged.gone.values():
                self._unlinked.update(digests)

    def _unlink(self) -> None:
        if self._doubtful.links:
            self._context.log("nothing was unlinked: a damaged link may be of the manifest that names it")
            return
        # On a station that is read-only nothing is on its way for which the day of grace would be.
        before = clock.now() if self._full else clock.after(-int(limits.UNREFERENCED))
        self._context.progress("look for blobs without a manifest", 0, 0)
        without = self._untagged.gone if self._dry_run and self._untagged is not None else {}
        for one in unreferenced(self._station, before, without):
            if isinstance(one, Waiting):
                self._waiting += one.blobs
                self._newest = max(self._newest, one.newest)
                continue
            if not isinstance(one, Unreferenced):
                self._context.log(one)
                continue
            found = self._without_released(one)
            if not found.blobs:
                continue
            count = len(found.blobs)
            if self._dry_run:
                self._unlinked.update(found.blobs)
            else:
                with self._turn():
                    count = self._unlink_blobs(found, before)
            self._taken.links += count
            if count:
                self._context.log(f"{found.repository}: {some(count, 'blob')} that no manifest names")
            self._context.progress("look for blobs without a manifest", 0, 0)

    def _without_released(self, found: Unreferenced) -> Unreferenced:
        """Without what a release shows there: its manifest's link was taken away by hand."""
        if not self._has_releases:
            return found
        standing = self._standing()
        return replace(found, blobs=tuple(blob for blob in found.blobs if not standing.shows(found.repository, blob)))

    @cached_property
    def _has_releases(self) -> bool:
        """Whether bundles come in here: on an outside nothing is released, and the log is not read."""
        return self._station.config.side == "inside"

    def _unlink_blobs(self, found: Unreferenced, before: str) -> int:
        """Take links away, with an event that names each: what explained them before explains them no more."""
        write = UnlinkBlobs(repository=found.repository, digests=found.blobs, shown=found.shown, before=before)
        detail = {"digests": list(found.blobs)}
        event = AuditEvent(Act.GC_UNLINK, self._context.actor, found.repository, "done", detail)
        with self._station.blobs.turns.alone_blocking():
            with recording(self._station.audit, event):
                count: int = self._station.writer.submit(write)
            if not count:
                changed = FailedError("the repository changed meanwhile", remedy="the next collection takes it")
                self._station.audit.record(refusal(event.act, event.actor, event.thing, changed, recorded=True))
        return count

    def _turn(self) -> AbstractContextManager[None]:
        return incoming_turn(self._station.paths, self._context.progress, collects=True)

    def _take_blobs(self) -> None:
        (count, total), seen = self._station.metadata.totals(), 0
        for blobs in (self._files(), self._rows()):
            while page := list(islice(blobs, limits.GC_PAGE)):
                found = iter(self._garbage(page))
                while batch := list(islice(found, limits.GC_BATCH)):
                    self._take({digest: self._size(digest) for digest in batch})
                seen += len(page)
                self._context.progress("collect", min(total * seen // max(count, 1), total), total)

    def _files(self) -> Iterator[str]:
        """Every blob that has a file, many at a time in their order, which is the database's. Its bytes are asked for
        where it is garbage: a stat each costs as much as all else."""
        names = self._station.blobs.list_names()
        while some_names := sorted(islice(names, limits.GC_SORTED)):
            yield from some_names

    def _rows(self) -> Iterator[str]:
        """Every blob that has only a row. Read after the last file was looked at: a row goes before its file."""
        for digest in garbage.unlinked_rows(self._station.reader):
            if not self._station.blobs.has_blob(digest):
                yield str(digest)

    def _size(self, digest: str) -> int:
        """A blob's bytes, 0 where it has no file."""
        try:
            return self._station.blobs.size(Digest.parse(digest))
        except NotFoundError:
            return 0

    def _garbage(self, digests: Sequence[str]) -> list[str]:
        found = self._unkept(digests)
        clear = [digest for digest in found if not self._doubtful.may_mean(digest)]
        self._taken.doubtful += len(found) - len(clear)
        found = clear
        if not found or not self._has_releases:
            return found
        standing = self._standing()
        gone = [digest for digest in found if not standing.holds(digest)]
        if len(gone) < len(found):
            self._taken.kept += len(found) - len(gone)
            self._context.log(
                f"{some(len(found) - len(gone), 'blob that no row keeps stays', 'blobs that no row keeps stay')},"
                " since a bundle's release or import stands in the audit log; see: lockgate intake check"
            )
        return gone

    def _unkept(self, digests: Sequence[str]) -> list[str]:
        """Those that nothing shows, pins or waits for. What a trial would have unlinked counts as unlinked."""
        reader = self._station.reader
        found = garbage.unkept(reader, digests)
        if self._unlinked and (would_go := [digest for digest in digests if digest in self._unlinked]):
            rows = garbage.unpinned(reader, would_go)
            found += [digest for digest, links in rows if 0 < links <= self._unlinked[digest]]
        return [digest for digest in found if digest not in self._builds]

    def _take(self, sizes: dict[str, int]) -> None:
        if self._dry_run:
            self._count(sizes, sizes)
            return
        with self._turn():
            self._builds.refresh()
            digests = tuple(digest for digest in sizes if digest not in self._builds)
            with self._gate.collecting():
                self._station.blobs.require_here()
                gone: list[str] = self._station.writer.submit(
                    ForgetBlobs(digests=digests, job=self._context.job_id, at=clock.now())
                )
                self._station.blobs.graveyard.bury(map(Digest.parse, gone))
        self._count(gone, sizes)

    def _count(self, gone: Iterable[str], sizes: dict[str, int]) -> None:
        for digest in gone:
            self._taken.blob(digest, sizes[digest])

    def _sweep(self) -> None:
        """What uploads, imports and scrubs left: abandoned sessions, joins of bundles that no longer come in, damaged
        bytes of blobs that were healed or went."""
        station = self._station
        self._taken.uploads = UploadSessions(station.blobs).sweep(
            registry_limits.UPLOAD_EXPIRES_FULL if self._full else registry_limits.UPLOAD_EXPIRES
        )
        if self._left_behind() or self._healed():
            with self._turn():
                for path in self._left_behind():
                    station.blobs.files.remove(path)
                    self._taken.uploads += 1
                for digest in self._healed():
                    station.blobs.remove_aside(digest)
                    self._taken.uploads += 1

    def _healed(self) -> list[Digest]:
        """Blobs that are damaged no more, and whose withdrawn bytes are kept."""
        hurt = set(garbage.damaged(self._station.reader))
        return [digest for digest in self._station.blobs.aside() if str(digest) not in hurt]

    def _left_behind(self) -> list[Path]:
        station, found = self._station, list[Path]()
        coming = {digest.partition(":")[2][:16] for digest in garbage.receiving(station.reader)}
        with contextlib.suppress(FileNotFoundError):
            found += [path for path in station.paths.joins.iterdir() if path.name.partition("-")[0] not in coming]
        return found
