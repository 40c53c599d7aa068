"""The `gc` job: takes away what nothing shows, pins or waits for. Safe beside pushes, pulls and mounts.

First, blobs that no manifest of their repository names lose their link there, after a day of grace. Then every blob
that has neither a link nor a pin goes, metadata first and file second, a batch at a time under the store's gate
(appliance.store.gate): a push is either linked before the batch looks, or its file comes after. Last, what uploads and
imports left behind. Killed at any moment, it has only left garbage for the next run.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from os import scandir
from typing import Any, Final

from appliance import clock, limits
from appliance.control.kinds import JobContext, Result
from appliance.lifecycle.marks import Unreferenced, unreferenced, waiting_for_builds
from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent
from appliance.observe.recorded import recording
from appliance.station import Station
from appliance.store.gate import Gate, incoming_turn
from appliance.store.uploads import UploadSessions
from appliance.store.writes.lifecycle import ForgetBlobs, UnlinkBlobs
from bundles.errors import MalformedError, NotFoundError, UsageError
from bundles.oci.digest import ALGORITHMS, Digest

_STANDS: Final = (
    "SELECT (SELECT count(*) FROM links WHERE digest = ?1), EXISTS (SELECT 1 FROM pins WHERE digest = ?1)"
    " OR EXISTS (SELECT 1 FROM tags WHERE digest = ?1)"
)


@dataclass(slots=True)
class _Taken:
    """What was taken, or would be."""

    blobs: int = 0
    bytes: int = 0
    links: int = 0
    uploads: int = 0
    named: list[dict[str, Any]] = field(default_factory=list)

    def blob(self, digest: str, size: int) -> None:
        self.blobs += 1
        self.bytes += size
        if len(self.named) < limits.GC_NAMED:
            self.named.append({"digest": digest, "size": size})


def run(context: JobContext) -> Result:
    """Collect garbage; with `params["dry_run"]` only say what would go.

    The result: dry_run, blobs, bytes, links, uploads, named [{digest, size}]. Raises UsageError, FailedError.
    """
    dry_run = context.params.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise UsageError("dry_run is true or false", thing=repr(dry_run)[:60])
    with incoming_turn(context.station.paths, context.progress, collects=True):
        return _Collection(context, dry_run).run()


class _Collection:
    def __init__(self, context: JobContext, dry_run: bool) -> None:
        self._context, self._dry_run = context, dry_run
        self._station: Station = context.station
        self._gate = Gate(context.station.paths)
        self._taken = _Taken()
        self._kept = waiting_for_builds(context.station)
        self._unlinked: Counter[str] = Counter()

    def run(self) -> Result:
        if self._dry_run:
            self._unlink()
            self._take_blobs()
        else:
            with recording(self._station.audit, self._moment("begun")):
                self._unlink()
                self._take_blobs()
                self._sweep()
            self._station.audit.record(self._moment("ended"))
        taken = self._taken
        return {
            "dry_run": self._dry_run, "blobs": taken.blobs, "bytes": taken.bytes, "links": taken.links,
            "uploads": taken.uploads, "named": taken.named,
        }  # fmt: skip

    def _moment(self, moment: str) -> AuditEvent:
        taken = self._taken
        detail = {"moment": moment, "blobs": taken.blobs, "bytes": taken.bytes, "links": taken.links}
        return AuditEvent(Act.GC, self._context.actor, "store", "done", detail)

    def _unlink(self) -> None:
        before = clock.after(-int(limits.UNREFERENCED))
        self._context.progress("look for blobs without a manifest", 0, 0)
        for found in unreferenced(self._station, before):
            if not isinstance(found, Unreferenced):
                self._context.log(found)
                continue
            count = len(found.blobs)
            if self._dry_run:
                self._unlinked.update(found.blobs)
            else:
                write = UnlinkBlobs(
                    repository=found.repository, digests=found.blobs, manifests=found.manifests, before=before
                )
                count = self._station.writer.submit(write)
            self._taken.links += count
            if count:
                self._context.log(f"{found.repository}: {count} blobs that no manifest names")
            self._context.progress("look for blobs without a manifest", 0, 0)

    def _take_blobs(self) -> None:
        total, done = self._station.metadata.totals()[1], 0
        everything = self._everything()
        while batch := list(islice(everything, limits.GC_BATCH)):
            garbage = [(digest, size) for digest, size in batch if self._is_garbage(digest)]
            if garbage:
                self._take(dict(garbage))
            done += sum(size for _, size in batch)
            self._context.progress("collect", min(done, total), total)

    def _everything(self) -> Iterator[tuple[str, int]]:
        """Every blob that has a file, then every one that has only a row, with its bytes."""
        for algorithm in ALGORITHMS:
            with scandir(self._station.paths.blobs / algorithm) as entries:
                for entry in entries:
                    try:
                        digest = str(Digest(algorithm, entry.name))
                    except MalformedError:
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        yield digest, entry.stat(follow_symlinks=False).st_size
        rows = self._station.reader.execute(
            "SELECT digest FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = b.digest)"
        )
        for (digest,) in rows.fetchall():
            if not self._station.blobs.has_blob(Digest.parse(digest)):
                yield digest, 0

    def _is_garbage(self, digest: str) -> bool:
        links, stands = self._station.reader.execute(_STANDS, (digest,)).fetchone()
        return not stands and links <= self._unlinked[digest] and digest not in self._kept

    def _take(self, sizes: dict[str, int]) -> None:
        if self._dry_run:
            self._count(sizes, sizes)
            return
        with self._gate.collecting():
            gone: list[str] = self._station.writer.submit(ForgetBlobs(digests=tuple(sizes)))
            for digest in gone:
                self._station.blobs.remove(Digest.parse(digest))
        self._count(gone, sizes)

    def _count(self, gone: Iterable[str], sizes: dict[str, int]) -> None:
        for digest in gone:
            self._taken.blob(digest, sizes[digest])

    def _sweep(self) -> None:
        """What uploads, imports and scrubs left: abandoned sessions, joins of bundles that no longer come in, damaged
        bytes of blobs that were healed or went."""
        station = self._station
        self._taken.uploads = UploadSessions(station.blobs).sweep(limits.UPLOAD_EXPIRES)
        coming = {digest.partition(":")[2][:16] for (digest,) in station.reader.execute(
            "SELECT digest FROM intake WHERE state = 'receiving'")}  # fmt: skip
        hurt = {digest.replace(":", "-") for (digest,) in station.reader.execute(
            "SELECT digest FROM damage WHERE healed IS NULL")}  # fmt: skip
        for folder, kept in ((station.paths.joins, coming), (station.paths.damaged, hurt)):
            with contextlib.suppress(FileNotFoundError, NotFoundError):
                for path in list(folder.iterdir()):
                    if (path.name.partition("-")[0] if folder == station.paths.joins else path.name) not in kept:
                        station.blobs.files.remove(path)
                        self._taken.uploads += 1
