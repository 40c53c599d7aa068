"""`lockgate rebuild`: an outside's database made again from what blobs, manifests, job folders and the audit log prove.

What stands in a database that can still be read is kept and completed; one that is gone or damaged is made from
nothing. All of it happens in a file of its own, which takes the place of the database at the end: cut off at any
moment, the next run goes on, and blobs that were read are not read again. The lost database is kept beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from appliance import clock
from appliance.audit.acts import Act
from appliance.lifecycle.forgotten import Forgotten
from appliance.lifecycle.log_replay import LOST_JOB, Logged, RepositoryByLog, note_bundle, replay
from appliance.lifecycle.rebuild_blobs import BlobFiles, Progress
from appliance.lifecycle.rebuild_file import begin, remove, take_place
from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.paths import StationPaths
from appliance.settings.station import Config
from appliance.store.database import open_writer
from appliance.store.database_file import write_log_back
from appliance.store.ports import Connection
from appliance.store.presence import Presence
from appliance.store.repair import repair
from appliance.store.rows import CRC_UNKNOWN
from appliance.store.writer import LocalWriter
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.deltas import HeldRow, RecordCarried
from appliance.store.writes.lifecycle import Block, Unblock
from appliance.store.writes.rebuild import (
    BundleRow,
    DamagedRow,
    LinkRow,
    PinUnexplained,
    RestoreJobs,
    RestoreRepository,
    RestoreStream,
    TagRow,
    account_names,
    is_described,
    newest_job,
    shown_links,
)
from appliance.store.writes.sites import RestoreSites
from appliance.store.writes.write import Guarded, under_event
from bundles.documents.signed import StreamHead
from bundles.errors import FailedError, LockgateError
from bundles.io.display import some
from bundles.io.files import failures_named, write_atomic
from bundles.oci.manifest import OCI_MANIFEST


@dataclass(slots=True)
class Rebuilt:
    """What was restored, in numbers, and each thing that was not, a sentence each."""

    blobs: int = 0
    repositories: int = 0
    links: int = 0
    tags: int = 0
    jobs: int = 0
    blocks: int = 0
    sites: int = 0
    kept: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    damaged: int = 0
    cannot: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As the command prints it and `rebuilt.json` keeps it."""
        return asdict(self)


def rebuild(
    paths: StationPaths, config: Config, found: Forgotten | None, heads: Sequence[StreamHead], progress: Progress,
    *, dry_run: bool = False,
) -> Rebuilt:  # fmt: skip
    """Rebuild the database of a station that does not run; with `dry_run` only say what would be restored.

    `found`: what is wrong with it. `heads`: where streams stood by receipts. To be called with the station's lock
    held, and its event recorded unless it is a dry run. Raises FailedError, and then nothing has changed but the file
    that the next run goes on with.
    """
    Presence(paths).require()
    usable = paths.database.exists() and (found is None or found.usable)
    with failures_named(paths.rebuilding, "the database cannot be rebuilt"):
        target = paths.rebuilding.with_name("rebuilding-dry.sqlite") if dry_run else paths.rebuilding
        begin(paths, target, _in_order, usable=usable, fresh=dry_run)
        try:
            with closing(open_writer(target)) as db, under_event():  # of a dry run nothing stays
                rebuilt = _Rebuild(paths, config, db, heads, progress, dry_run=dry_run).run()
                write_log_back(db)
        finally:
            if dry_run:
                remove(target)
        if not dry_run:
            write_atomic(paths.rebuilt, json.dumps(rebuilt.to_json(), indent=2).encode(), 0o600, owned=True)
            take_place(paths, usable=usable)
    return rebuilt


def _in_order(target: Path) -> bool:
    """Bring the copy into order; whether it can be gone on with."""
    try:
        with closing(open_writer(target)) as db:
            return repair(db)
    except FailedError:
        return False


class _Rebuild:
    def __init__(
        self, paths: StationPaths, config: Config, db: Connection, heads: Sequence[StreamHead],
        progress: Progress, *, dry_run: bool,
    ) -> None:  # fmt: skip
        self._lost_manifest = False
        self._paths, self._config, self._db, self._heads, self._progress = paths, config, db, heads, progress
        self._writer = Guarded(LocalWriter(db))
        self._found = Rebuilt()
        self._blobs = BlobFiles(paths, db, self._writer, self._found.cannot, progress, dry_run=dry_run)

    def run(self) -> Rebuilt:
        as_of, known = newest_job(self._db), account_names(self._db)
        self._blobs.read()
        self._found.blobs = len(self._blobs.held)
        self._progress("read the audit log", 0, 0)
        log = replay(self._paths, self._blobs.manifest)
        for name, shown in sorted(log.repositories.items()):
            self._restore(name, shown)
        self._restore_streams(log)
        self._restore_blocks(log)
        self._restore_sites(log)
        jobs = tuple(log.jobs.values())
        self._found.jobs = self._writer.submit(RestoreJobs(jobs=jobs, lost=LOST_JOB, at=clock.now()))
        if not log.whole or self._lost_manifest:
            self._found.kept = self._writer.submit(PinUnexplained())
        self._name_what_is_lost(log, as_of, known)
        return self._found

    # Repositories

    def _restore(self, name: str, shown: RepositoryByLog) -> None:
        """One repository: the links whose content is held, of manifests those that are readable, and tags on these. A
        blob that one of these names, and whose bytes are damaged or gone, is shown as withdrawn; so is a manifest whose
        bytes are damaged, or on which a tag stood."""
        links, rows, sizes = list[LinkRow](), dict[str, ManifestRow](), dict[str, int]()
        lost_blobs, lost_manifests = list[LinkRow](), list[LinkRow]()
        tagged = {digest for digest, _ in shown.tags.values()}
        for (digest, kind), at in shown.links.items():
            if digest not in self._blobs.held:
                if kind == "blob" and digest not in self._blobs.unread:
                    lost_blobs.append(LinkRow(digest, kind, at))
                elif digest not in self._blobs.unread and (digest in self._blobs.rotten or digest in tagged):
                    lost_manifests.append(LinkRow(digest, kind, at))
                else:
                    self._found.cannot.append(f"{name}@{digest}: its bytes are gone; push or collect it again")
                continue
            if kind == "manifest":
                read = self._blobs.described(digest)
                if read is None:
                    self._found.cannot.append(f"{name}@{digest}: not a manifest that can be read")
                    continue
                rows[digest] = read[1]
                sizes |= {str(one.digest): one.size for one in (*read[0].blobs, *read[0].manifests)}
            links.append(LinkRow(digest, kind, at))
        withdrawn = [one for one in lost_blobs if one.digest in sizes] + lost_manifests
        damaged = tuple(self._withdrawn(name, one, sizes) for one in withdrawn)
        links += withdrawn
        self._found.damaged += len(damaged)
        self._found.cannot += [
            f"{name}@{one.digest}: its bytes are gone; push or collect it again"
            for one in lost_blobs if one.digest not in sizes
        ]  # fmt: skip
        stand = {*rows, *(one.digest for one in lost_manifests)}
        tags = [TagRow(tag, digest, at) for tag, (digest, at) in shown.tags.items() if digest in stand]
        lost = [f"{name}:{tag} stood at {digest}" for tag, (digest, _) in shown.tags.items() if digest not in stand]
        self._found.cannot += [f"{line}; its manifest is gone" for line in lost]
        present = shown_links(self._db, name)
        write = RestoreRepository(
            repository=name, at=min((one.at for one in links), default=clock.now()),
            manifests=(*rows.values(), *self._undescribed(lost_manifests, sizes)),
            links=tuple(links), tags=tuple(tags), untagged=tuple(sorted(shown.untagged)),
            deleted=tuple(sorted(one for one in shown.deleted if one in present)), damaged=damaged,
            upstream=shown.upstream,
        )  # fmt: skip
        self._found.links += self._writer.submit(write)
        self._found.tags += len(tags)
        self._found.repositories += bool(links)
        self._progress("restore repositories", 0, 0)

    def _undescribed(self, lost: list[LinkRow], sizes: dict[str, int]) -> list[ManifestRow]:
        """Rows of lost manifests that have none, so that links and tags may stand on them. What they say is made anew
        with the bytes. What such a manifest names is not known: garbage collection is to take nothing of it."""
        self._lost_manifest |= bool(lost)
        return [
            ManifestRow(
                blob=BlobRow(digest=one.digest, size=self._size_of(one.digest, sizes), crc32=CRC_UNKNOWN),
                media_type=OCI_MANIFEST,
            )
            for one in lost if not is_described(self._db, one.digest)
        ]  # fmt: skip

    def _size_of(self, lost: str, sizes: dict[str, int]) -> int:
        return sizes.get(lost, self._blobs.rotten.get(lost, 0))

    def _withdrawn(self, name: str, lost: LinkRow, sizes: dict[str, int]) -> DamagedRow:
        why = "rotted" if lost.digest in self._blobs.rotten else "missing"
        self._found.cannot.append(
            f"{name}@{lost.digest}: its bytes are {why}; it is shown as withdrawn, push or collect it again"
        )
        return DamagedRow(lost.digest, self._size_of(lost.digest, sizes), why)

    # Streams

    def _restore_streams(self, log: Logged) -> None:
        carried = list[RecordCarried]()
        for fixed in self._fixed():
            manifest = fixed.manifest
            if manifest.stream.partition(".")[0] != self._config.site:
                continue
            signed = bool(fixed.signed_by)
            state, digest = ("signed", str(fixed.digest)) if signed else ("voided", None)
            bundles = log.streams.setdefault(manifest.stream, {})
            if signed or manifest.sequence not in bundles:
                row = BundleRow(
                    sequence=manifest.sequence, digest=digest, state=state, job=fixed.folder.name, at=manifest.created
                )
                note_bundle(bundles, row)
            if signed:
                blobs = tuple(HeldRow(blob.digest, blob.size) for blob in manifest.blobs)
                carried.append(RecordCarried(stream=manifest.stream, sequence=manifest.sequence, blobs=blobs))
        for head in self._heads:
            if head.stream.partition(".")[0] == self._config.site:
                row = BundleRow(
                    sequence=head.sequence, digest=head.digest or None, state="written", job="rebuild", at=clock.now()
                )
                note_bundle(log.streams.setdefault(head.stream, {}), row)
        for write in carried:
            self._writer.submit(write)
        known = {(write.stream, write.sequence) for write in carried}
        for stream, bundles in sorted(log.streams.items()):
            rows = tuple(bundles[number] for number in sorted(bundles))
            self._found.streams[stream] = self._writer.submit(
                RestoreStream(stream=stream, bundles=rows, at=clock.now())
            )
            self._found.cannot += [
                f"what {stream}-{row.sequence:06d} carried: the next delta does not count on it"
                for row in rows if row.state != "voided" and (stream, row.sequence) not in known
            ]  # fmt: skip

    def _fixed(self) -> Iterator[SealedBundle]:
        """The bundles whose bytes lie in the folders of jobs, by job."""
        with suppress(FileNotFoundError):
            for folder in sorted(self._paths.jobs.iterdir()):
                try:
                    fixed = SealedBundle.load(folder)
                except (LockgateError, ValueError) as error:
                    self._found.cannot.append(f"the bundle in {folder}: {error}")
                    continue
                if fixed is not None:
                    yield fixed

    # The rest

    def _restore_blocks(self, log: Logged) -> None:
        for digest, said in log.blocks.items():
            if said is None:
                self._writer.submit(Unblock(digest=digest))
            else:
                why, actor, at = said
                self._writer.submit(Block(digest=digest, why=why, actor=actor, at=at))
                self._found.blocks += 1

    def _restore_sites(self, log: Logged) -> None:
        self._found.sites = self._writer.submit(RestoreSites(sites=tuple(log.sites.values())))

    def _name_what_is_lost(self, log: Logged, as_of: str, known: set[str]) -> None:
        """What only the database held."""
        cannot = self._found.cannot
        cannot += log.gaps
        changes = [(at, act, name) for at, act, name in log.accounts if at >= as_of or name not in known]
        names = sorted({name for _, act, name in changes if act in (Act.ACCOUNT_CLAIM, Act.ACCOUNT_CREATE)} - known)
        cannot += [f"account {name}: make it again, with its roles, password and keys" for name in names]
        cannot += [
            f"{act} of {name} at {at}: look whether it still holds" for at, act, name in changes if name not in names
        ]
        cannot += [f"{one}: take it again with: lockgate receipt take FILE" for one in log.taken]
        if not log.whole:
            cannot.append(
                f"what the pruned part of the audit log told:"
                f" {some(self._found.kept, 'blob that nothing explains is', 'blobs that nothing explains are')} kept,"
                " shown by no repository"
            )
