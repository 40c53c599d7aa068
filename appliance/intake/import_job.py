"""The `import` job: a bundle from its media into quarantine, verified as it is read.

In this order: signatures and destination, the ledger, space, every volume once, the artifacts' manifests, this
station's own inspection, and one transaction that puts the bundle into quarantine and into the ledger. Before that one
nothing but an entry in state `receiving` tells of it; a refused bundle leaves not even that. What was cut off goes on
at the volume, whatever the order in which the media come. Where volumes are lost and the station's configuration allows
it, what is whole without them is taken in alone; the rest comes with a later bundle.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from pathlib import Path

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.intake.content import check_content, check_held, sizes_of
from appliance.intake.delta_base import receipt_of, rehash_base, require_base, require_counting
from appliance.intake.heal_blobs import restore
from appliance.intake.inspection import make_report, record
from appliance.intake.ledger_by_log import require_rows_of_log
from appliance.intake.leftovers import take_away
from appliance.intake.missing_volumes import blocked, whole_without
from appliance.intake.overrides import stream_now, trusted_now
from appliance.intake.room import require_quota, require_room
from appliance.intake.store_sink import StoreSink
from appliance.intake.stream_lock import stream_turn
from appliance.intake.wrong_side import wrong_side
from appliance.jobs.kinds import JobContext, Result
from appliance.release_check.changed_steps import digest_of
from appliance.release_check.unexplained import keep_manifest
from appliance.station import Station
from appliance.store.collection_lock import incoming_turn
from appliance.store.reads.intake import (
    find_by_digest,
    find_entry,
    history,
    missing_volumes,
    verified_volumes,
)
from appliance.store.reads.record_rows import small_files
from appliance.store.writes.floors import require_open
from appliance.store.writes.intake import (
    AbandonIntake,
    BeginIntake,
    ForgetVolumes,
    Quarantine,
    RecordVolume,
    Verified,
    VolumeRow,
)
from appliance.store.writes.write import under_event
from bundles import limits
from bundles.decide.bundle import decide, require_all_signers
from bundles.decide.sequence import ledger_verdict
from bundles.documents import signed as documents
from bundles.errors import REPLAY, FailedError, IncompleteError, LockgateError, RefusedError, UsageError
from bundles.format.manifest import BundleManifest, volume_path
from bundles.io.display import some
from bundles.io.files import failures_named
from bundles.io.work_threads import at_once
from bundles.oci.digest import Digest
from bundles.verify import DROPPINGS_REMEDY, OpenedBundle, missing, open_bundle
from bundles.volumes.read import ranges_of, read_volume

_ACT = Act.INTAKE_IMPORT
_NAMED = 8
"""Artifacts named in one line of the log."""

_RESERVE = 64 * limits.MIB
"""Bytes left free beside what the bundle needs, for metadata and logs."""


def run(context: JobContext) -> Result:
    """Import the bundle in `params["paths"]` (a folder a medium); with `params["partial"]` even where volumes are lost.

    The result: id, digest, state, artifacts, bytes, missing_volumes.

    Raises RefusedError, IncompleteError naming the volumes still to come, FailedError; each is one audit event.
    """
    paths = context.params.get("paths")
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) and path for path in paths):
        raise UsageError("no folder was given", remedy="name the bundle's folder, one a medium")
    partial = context.params.get("partial", False)
    if not isinstance(partial, bool):
        raise UsageError("`partial` is true or false")
    named = ", ".join(paths)
    try:
        return _import(context, [context.path(path) for path in paths], partial=partial)
    except IncompleteError as error:
        detail = {"state": "receiving", "reason": error.diagnostics()}
        context.station.audit.record(AuditEvent(_ACT, context.actor, named, "done", detail))
        raise
    except RefusedError as error:
        error = wrong_side(context, paths, error)
        context.record_failure(_ACT, named, error)
        raise error from None
    except LockgateError as error:
        context.record_failure(_ACT, named, error)
        raise


def _import(context: JobContext, paths: Sequence[Path], *, partial: bool) -> Result:
    brought = set[Digest]()
    try:
        return _bring_in(context, paths, brought, partial=partial)
    except RefusedError:
        take_away(context, brought)
        raise


def _bring_in(context: JobContext, paths: Sequence[Path], brought: set[Digest], *, partial: bool) -> Result:
    """As `run`. What a refused bundle brought, and is nobody's, is put into `brought`."""
    station = context.station
    trust = station.trust()
    bundle = open_bundle(paths, trust, trusted_now(station.reader))
    # How far ahead `created` may be is measured by this station's time alone; then keys and dates by the stream's too.
    decide(bundle.files, trust, stream_now(station.reader, bundle.opened.manifest.stream))
    require_all_signers(bundle.opened)
    with (
        stream_turn(station.paths, bundle.opened.manifest.stream, context.progress),
        incoming_turn(station.paths, context.progress, collects=False),
    ):
        digest = str(bundle.opened.digest)
        require_rows_of_log(context, bundle.opened.manifest.stream, digest)
        entry = find_by_digest(station.reader, digest)
        if entry is not None and entry.state == "quarantined" and entry.report_digest is None:
            _Receiving(context, bundle, "").inspect()  # it was cut off, or an inspector was down
            return _result(station, digest)
        if entry is not None and entry.state != "receiving" and entry.job == context.job_id:
            return _result(station, digest)  # it was cut off between its last transaction and its answer
        if entry is not None and entry.state != "receiving" and (restored := restore(context, bundle)):
            return _result(station, digest) | {"restored": restored}
        manifest = bundle.opened.manifest
        if entry is not None and entry.state != "receiving":
            _refuse_late_volumes(station, manifest, digest)
        if partial:
            _require_partial_allowed(station, manifest.stream)
        require_open(station.reader, manifest.stream)
        gaps = trust.policy.rule("bundle", manifest.source).gaps
        let_in = ledger_verdict(history(station.reader, manifest.stream), manifest, digest, gaps_allowed=gaps)
        if let_in:
            context.log(f"{manifest.id}: {let_in}")
        receiving = _Receiving(context, bundle, let_in)
        try:
            receiving.begin(partial=partial)
            receiving.read()
            receiving.require(partial=partial)
            receiving.quarantine()
        except RefusedError:
            brought |= receiving.abandon()
            raise
        receiving.inspect()
        return _result(station, digest)


def _result(station: Station, digest: str) -> Result:
    entry = find_entry(station.reader, digest)
    return {
        "id": entry.id,
        "digest": entry.digest,
        "state": entry.state,
        "artifacts": entry.artifacts,
        "bytes": entry.bytes,
        "missing_volumes": missing_volumes(station.reader, digest),
    }


def _refuse_late_volumes(station: Station, manifest: BundleManifest, digest: str) -> None:
    """Say what became of a volume that comes after its bundle was taken in without it."""
    if absent := missing_volumes(station.reader, digest):
        raise RefusedError(
            f"a replay: the bundle was taken in without {', '.join(map(volume_path, absent))}",
            code=REPLAY,
            thing=manifest.id,
            remedy=f"carry a receipt to {manifest.source}: the next bundle built on it brings what was in them",
        )


def _by_drive(places: list[tuple[int, Path, bool]]) -> list[list[tuple[int, Path, bool]]]:
    """The volumes of each drive, in their order: drives are read at once, one drive's volumes in turn."""
    drives: dict[int, list[tuple[int, Path, bool]]] = {}
    for place in places:
        with failures_named(place[1], "the volume cannot be read"):
            drives.setdefault(place[1].stat().st_dev, []).append(place)
    return list(drives.values())


class _Receiving:
    """One bundle on its way from its media into quarantine."""

    def __init__(self, context: JobContext, bundle: OpenedBundle, let_in: str) -> None:
        self.let_in = let_in
        self.context, self.bundle, self.station = context, bundle, context.station
        self.manifest, self.digest = bundle.opened.manifest, bundle.opened.digest
        self.ranges = ranges_of(self.manifest)
        self.verified = self._still_held()
        self.sink = StoreSink(
            self.station, self.manifest, self.digest, self.verified,
            lambda _: context.progress("check what is held", 0, 0),
        )  # fmt: skip

    def _still_held(self) -> set[int]:
        """Volumes that an earlier run verified, whose bytes the store still has; the others are read again."""
        recorded = verified_volumes(self.station.reader, str(self.digest))
        before = StoreSink(self.station, self.manifest, self.digest, recorded)
        lost = {index for index in recorded if not all(before.holds(entry) for entry in self.ranges[index])}
        if lost:
            self.station.writer.submit(ForgetVolumes(digest=str(self.digest), volumes=tuple(sorted(lost))))
        return recorded - lost

    def begin(self, *, partial: bool) -> None:
        """Check the base and the space, then say that the bundle is coming in."""
        manifest = self.manifest
        require_quota(self.context, manifest, self.digest)
        require_base(self.context, manifest, self.digest)
        self._check_space(self.bundle.volumes.keys() if partial else self.ranges.keys())
        is_new = find_by_digest(self.station.reader, str(self.digest)) is None  # else it was recorded when it began
        with self._acting(Act.INTAKE_RECEIVE, {"job": self.context.job_id}) if is_new else under_event():
            self.station.writer.submit(BeginIntake(
                digest=str(self.digest), id=manifest.id, stream=manifest.stream, sequence=manifest.sequence,
                manifest=self.bundle.opened.manifest_bytes.decode(), artifacts=len(manifest.artifacts),
                volumes=tuple(VolumeRow(index=v.index, medium=v.medium, size=v.size) for v in manifest.volumes),
                pins=tuple(sizes_of(manifest)), job=self.context.job_id, actor=self.context.actor, at=clock.now(),
                sums=self.bundle.files.sums, readme=self.bundle.files.readme,
                signatures=dict(self.bundle.files.signatures),
            ))  # fmt: skip
        for dropping in self.bundle.droppings:
            self.context.log(f"not the bundle's, not read: {dropping}; {DROPPINGS_REMEDY}")
        owners = ", ".join(signer.owner for signer in self.bundle.opened.signers)
        self.context.log(f"{manifest.id}: signed by {owners}")

    def _check_space(self, volumes: Set[int]) -> None:
        """Refuse early what cannot fit, with what is still to come. Raises FailedError with the numbers."""
        self.station.blobs.require_here()
        coming: dict[Digest, int] = {}
        for index in volumes - self.verified:
            for entry in self.ranges[index]:
                begun = entry.part is not None and self.sink.join_path(entry.digest).exists()
                if not begun and not self.sink.has_blob(entry.digest):
                    coming[entry.digest] = entry.blob_size
        needed = sum(coming.values()) + _RESERVE
        if needed > self._free():
            self.station.blobs.make_room(needed)
        require_room(self.context, self.manifest, self.digest, needed, self._free())

    def _free(self) -> int:
        return shutil.disk_usage(self.station.paths.store).free

    def read(self) -> None:
        """Read each volume that is here and not yet verified; a second copy of one is held to its signature too."""
        todo = [(index, path, False) for index, path in sorted(self.bundle.volumes.items())]
        todo += [(index, path, True) for index, path in self.bundle.copies]
        todo = [place for place in todo if place[0] not in self.verified]
        total, done = sum(self.manifest.volumes[index - 1].size for index, _, _ in todo), 0
        self.context.progress("verify and store", 0, total)
        for volume in self.manifest.volumes:
            here = "waiting" if volume.index in self.bundle.volumes else "missing"
            self._part(volume.index, "verified" if volume.index in self.verified else here)

        turn = threading.Lock()

        def advance_of(index: int) -> Callable[[int], None]:
            read = 0

            def advance(count: int) -> None:
                nonlocal done, read
                with turn:
                    done, read = done + count, read + count
                    self.context.progress("verify and store", done, total)
                    self._part(index, "reading", read)

            return advance

        def read_drive(places: list[tuple[int, Path, bool]]) -> None:
            for index, path, is_copy in places:
                try:
                    read_volume(path, self.manifest, index, self.ranges[index], None if is_copy else self.sink,
                                advance_of(index))  # fmt: skip
                except (RefusedError, FailedError):
                    self._log_blocked({index}, "damaged")
                    raise
                if not is_copy:
                    self._record(index)

        at_once(read_drive, _by_drive(todo), limits.DRIVES)

    def _part(self, index: int, state: str, done: int = 0, about: str = "") -> None:
        volume = self.manifest.volumes[index - 1]
        self.context.part(volume_path(index), volume.medium, state, done, volume.size, about)

    def _log_blocked(self, absent: set[int], state: str) -> None:
        """Say which artifacts wait for each volume that is not here, or not good."""
        for index, names in blocked(self.station.blobs, self.manifest, absent).items():
            medium = self.manifest.volumes[index - 1].medium
            shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
            needed = shown or "no artifact alone"
            self.context.log(f"{volume_path(index)} (medium {medium}) is needed by {needed}")
            self._part(index, state, about=needed)

    def _record(self, index: int) -> None:
        rows = self.sink.take_rows(self.ranges[index])
        self.station.writer.submit(RecordVolume(digest=str(self.digest), volume=index, blobs=rows, at=clock.now()))
        self.verified.add(index)
        self._part(index, "verified", self.manifest.volumes[index - 1].size)
        self.context.log(f"{volume_path(index)}: every byte is the signed one")

    def require(self, *, partial: bool) -> None:
        """Raises IncompleteError naming the volumes that came neither now nor before; where a `partial` import is
        asked for, only where nothing is whole without them."""
        absent = self._absent()
        if absent:
            self._log_blocked(set(absent), "missing")
            if not partial or not whole_without(self.station.blobs, self.manifest, set(absent)).artifacts:
                raise missing(self.bundle.opened, absent)

    def _absent(self) -> tuple[int, ...]:
        return tuple(volume.index for volume in self.manifest.volumes if volume.index not in self.verified)

    def quarantine(self) -> None:
        """Check what the blobs make together, and put it into quarantine and the ledger."""
        station, absent = self.station, self._absent()
        manifest = whole_without(station.blobs, self.manifest, set(absent)) if absent else self.manifest
        require_counting(self.context, manifest, self.digest)  # what it stands on may have been rejected meanwhile
        rehash_base(self.context, manifest, self.digest)
        check_held(station.blobs, station.metadata, sizes_of(manifest))
        check_content(station.blobs, manifest)
        digest, actor = str(self.digest), self.context.actor
        size = sum(volume.size for volume in manifest.volumes)
        without = f"without {', '.join(map(volume_path, absent))}" if absent else ""
        detail = {"missing_volumes": list(absent)} if absent else {}
        verified = {"volumes": len(manifest.volumes) - len(absent), "bytes": size, **detail}
        with self._acting(Act.INTAKE_VERIFY, verified):
            station.writer.submit(Verified(digest=digest, actor=actor, at=clock.now(), missing=absent))
        signers = [{"keyid": one.keyid, "owner": one.owner} for one in self.bundle.opened.signers]
        folders = [str(folder) for folder in self.bundle.folders]
        write = Quarantine(
            digest=digest, made=manifest.created, why="; ".join(filter(None, (self.let_in, without))),
            job=self.context.job_id, actor=actor, at=clock.now(),
            pins=len(sizes_of(self.manifest)), receipt=receipt_of(manifest), missing=absent,
        )  # fmt: skip
        signed = self.bundle.opened.manifest_bytes
        named = {
            "bytes": size, "folders": folders, "signers": signers, "manifest": str(Digest.of(signed)),
            "created": manifest.created, "files": digest_of(small_files(station.reader, digest)), **detail,
        }  # fmt: skip
        with self._acting(_ACT, named):
            keep_manifest(station.paths, self.digest, signed)
            station.writer.submit(write)
        if absent:
            self.sink.discard()
            self.context.log(
                f"{manifest.id} was taken in {without}:"
                f" {some(len(manifest.artifacts), 'artifact is', 'artifacts are')} whole"
            )

    def _acting(self, act: Act, detail: dict[str, object]) -> AbstractContextManager[None]:
        event = AuditEvent(act, self.context.actor, self.manifest.id, "done", {"digest": str(self.digest), **detail})
        return recording(self.station.audit, event)

    def inspect(self) -> None:
        """This station's own report about what is in quarantine. A required inspector that is down blocks: until it
        has looked there is no report, and so nothing to approve."""
        self.context.progress("inspect", 0, 0)
        report = make_report(self.station, self.bundle.opened)
        for section in documents.decode(report, documents.Report).sections:
            if section.outcome == "fail":
                self.context.log(f"{section.inspector}: {section.outcome}, {section.summary}")
        record(self.station, str(self.digest), self.manifest.id, report, self.context.actor)

    def abandon(self) -> set[Digest]:
        """A refused bundle leaves nothing, unless an earlier job had received some of it in good faith. The blobs that
        came with it, where nothing of it stays."""
        mine = self.station.writer.submit(AbandonIntake(digest=str(self.digest), job=self.context.job_id))
        if not mine:
            return set()
        self.sink.discard()
        return self.sink.brought


def _require_partial_allowed(station: Station, stream: str) -> None:
    """Raises RefusedError where the configuration does not allow it for the stream."""
    if not any(fnmatchcase(stream, pattern) for pattern in station.config.partial_imports):
        raise RefusedError(
            "bundles of this stream are taken in whole",
            thing=stream,
            remedy="bring the volumes that are missing, or name the stream in config.toml's partial_imports",
        )
