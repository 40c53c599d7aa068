"""The `build` job: plan, SBOMs, lay out and hash, take the sequence, wait for the signature, write and compare.

What is fixed before the signature (manifest.json, README.txt, SHA256SUMS) is kept in the job's folder, and so is the
signature: after a power cut the job goes on with the same bytes, and writes only the volumes that are not there yet.
A bundle that was signed and whose medium failed goes on the same way when its build is asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Final

from appliance import clock
from appliance.artifact_choice import Wish, load_chosen
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.handles.kept_statement import load_statement
from appliance.jobs.documents import WAITS
from appliance.jobs.kinds import JobContext, Result, out_of_memory, telling
from appliance.known_keys import check_cosigners, find_public_key
from appliance.outgoing import resume
from appliance.outgoing.blob_source import StationBlobSource
from appliance.outgoing.build_params import BuildOrder
from appliance.outgoing.closure import Closure, closure_of
from appliance.outgoing.closure_source import StationContent
from appliance.outgoing.delta_base import NONE, Base, base_of, take
from appliance.outgoing.last_sent import nothing_changed
from appliance.outgoing.media import (
    Medium,
    by_number,
    check_mounted,
    check_room,
    check_volume_size,
    folders_named,
    look_at_all,
    on_disks,
    on_own_disk,
    room_on,
)
from appliance.outgoing.named_errors import naming
from appliance.outgoing.plan import Plan, check_space, make_plan
from appliance.outgoing.sbom.make import make_sboms
from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.rotations.making import carried
from appliance.store.reads.bundles_out import newly_void, unfinished
from appliance.store.reads.outgoing import unsigned_of
from appliance.store.reads.sites import require_known
from appliance.store.writes.bundle_steps import TagRow
from appliance.store.writes.deltas import HeldRow, RecordCarried
from appliance.store.writes.outgoing import FinishBundle, SignBundle, TakeSequence, VoidSequence
from bundles import build as building
from bundles.documents.rotation_carried import to_extension
from bundles.errors import FailedError, LockgateError
from bundles.format import manifest_codec, readme
from bundles.format.manifest import (
    FORMAT_MAJOR,
    FORMAT_MINOR,
    LEFT_OUT_EXTENSION,
    TYPE,
    BundleManifest,
    Format,
    Tool,
    bundle_id,
)
from bundles.io.display import some
from bundles.oci.reference import Reference, moved_tag

_VALID: Final = 365 * 24 * 3600
"""Seconds a bundle may be imported for, where --not-after does not say."""

_LOOK: Final = 0.5
"""Seconds between two looks at the stream's lock."""


def run(context: JobContext) -> Result:
    """Build a bundle by `params` (appliance.outgoing.build_params.BuildParams). Returns where it is, and who signed
    it.
    """
    order = BuildOrder.read(context.params, context.station.config.site)
    # Asked now, not after an hour of hashing: whether the destination, the media and the signer are what was meant.
    find_public_key(context.station.paths, order.sign_with)
    with _recorded(context, order.wanted.stream), ExitStack() as held:
        require_known(context.station.reader, order.wanted.site, new=order.new_site)
        chosen = load_chosen(context.folder, order.wanted.references, changed=order.wanted.changed)
        references = [Reference.parse(one.reference) for one in chosen]
        held.enter_context(naming(context.station, references))
        fixed = _resumed(context, order)
        finishes = False
        if fixed is None:
            fixed = held.enter_context(resume.take_up(context, order))
            finishes = fixed is not None
        if fixed is None and not chosen:
            return _nothing(context, order)
        if fixed is None:
            shown = StationContent(context.station.blobs, context.station.metadata)
            closure = closure_of(references, shown)
            told = load_statement(context.folder)
            for line in take(context.station, order.wanted.stream, order.wanted.since, told, context.actor):
                context.log(line)
            base = base_of(context.station, order.wanted.stream, order.wanted.since, told)
            if order.wanted.since != NONE:
                context.log(f"stands on {base.origin}")
            fixed = _fix(context, order, _plan(context, order, references, closure, base), base)
        fixed = _signed(context, order, fixed)
        result = _write(context, order, fixed)
        left = [one for one in unfinished(context.station.reader, order.wanted.stream) if one.id != fixed.manifest.id]
        return result | {
            "finished": finishes,
            "moved": _moved(context, references, fixed.manifest) if finishes else [],
            "voided": newly_void(context.station.reader, fixed.manifest.stream, fixed.manifest.sequence),
            "unfinished": [{"id": one.id, "job": one.job, "text": one.text()} for one in left],
        }


def _nothing(context: JobContext, order: BuildOrder) -> Result:
    """The result of a build that was to carry what has changed, where nothing has: no number is taken."""
    nothing = nothing_changed(context.station.reader, order.wanted)
    left = unfinished(context.station.reader, order.wanted.stream)
    context.log(nothing)
    return {
        "nothing": nothing, "id": "", "path": "", "media": [],
        "unfinished": [{"id": one.id, "job": one.job, "text": one.text()} for one in left],
    }  # fmt: skip


def _moved(context: JobContext, references: Sequence[Reference], manifest: BundleManifest) -> list[str]:
    """The references that stand at something else now than what a bundle that was signed earlier carries."""
    carried = {(artifact.repository, artifact.digest) for artifact in manifest.artifacts}
    shown = StationContent(context.station.blobs, context.station.metadata)
    found = ((reference, shown.resolve(reference)) for reference in references)
    return [str(one) for one, now in found if now is not None and (one.repository, str(now.digest)) not in carried]


def tags_of(manifest: BundleManifest) -> tuple[TagRow, ...]:
    """The tags that a bundle carries."""
    return tuple(
        TagRow(artifact.repository, tag, artifact.digest) for artifact in manifest.artifacts for tag in artifact.tags
    )


@contextmanager
def _recorded(context: JobContext, stream: str) -> Iterator[None]:
    """A build that ends without its signature gives its number up; however it ends, the audit log says so."""
    try:
        yield
    except (LockgateError, MemoryError) as error:
        _give_up(context)
        told = error if isinstance(error, LockgateError) else out_of_memory(context.job_id)
        context.record_failure(Act.BUNDLE_BUILD, stream, told)
        raise


def _give_up(context: JobContext) -> None:
    """Void the numbers that this job took and that were not signed: this job alone takes and signs them."""
    station = context.station
    unsigned = unsigned_of(station.reader, context.job_id)
    with ExitStack() as events:
        for bundle in unsigned:
            events.enter_context(recording(station.audit, _voided(context, bundle)))
        if unsigned:
            station.writer.submit(VoidSequence(job_id=context.job_id, at=clock.now()))


def _voided(context: JobContext, bundle: str) -> AuditEvent:
    return AuditEvent(Act.BUNDLE_VOID, context.actor, bundle, "done", {"job": context.job_id})


def _resumed(context: JobContext, order: BuildOrder) -> SealedBundle | None:
    """What an earlier run of this job fixed, if that still stands."""
    fixed = SealedBundle.load(context.folder)
    if fixed is None or order.sign_with in fixed.signed_by:
        return fixed
    taken = _take_sequence(context, order)
    return fixed if taken["sequence"] == fixed.manifest.sequence else None


def _plan(
    context: JobContext, order: BuildOrder, references: Sequence[Reference], closure: Closure, base: Base
) -> Plan:
    """The plan, with an SBOM of every image in it. Media that do not suffice are refused before the work begins."""
    media = _media(context, order)
    folders = [str(medium.path) for medium in media]
    with folders_named(folders):
        plan = make_plan(closure, order.wanted.volume, room_on(media, order.wanted.disc), base)
    check_space(context.station, plan)
    if plan.undescribed:
        undescribable = make_sboms(context, plan.undescribed, required=order.require_sbom)
        shown = StationContent(context.station.blobs, context.station.metadata)
        closure = closure_of(references, shown)
        with folders_named(folders):
            plan = make_plan(closure, order.wanted.volume, room_on(_media(context, order), order.wanted.disc), base)
        plan = replace(plan, undescribable=undescribable)
    check_volume_size(media, max(plan.packing.sizes))
    content = plan.content
    for note in plan.said():
        context.log(f"[!!] {note}")
    for one in plan.not_carried():
        context.log(f"[!!] not carried: {one['artifact']}: {one['layer']}, a foreign layer that is not held here")
    context.log(
        f"{some(len(content.artifacts), 'artifact')}, {some(len(content.blobs), 'blob')}, {content.size} bytes,"
        f" {some(len(plan.packing.volumes), 'volume')}; {some(len(content.requires), 'blob is', 'blobs are')}"
        f" required and not carried"
    )
    return plan


def _media(context: JobContext, order: BuildOrder) -> list[Medium]:
    """The media, each a folder that is there, none twice."""
    return look_at_all([context.path(text) for text in order.out], context.station.config.media_roots)


def _fix(context: JobContext, order: BuildOrder, plan: Plan, base: Base) -> SealedBundle:
    """Lay out, take the sequence, and fix every byte that will be signed."""
    station = context.station
    check_cosigners(station.paths, [keyid for keyid in order.signers if keyid != order.sign_with])
    media = _media(context, order)
    own = on_own_disk(media, station.paths.root)
    for one in on_disks(media):
        context.log(f"{one['path']} is no mount point: a folder of this disk (mounted at {one['disk']})")
    source = StationBlobSource(station.blobs, station.metadata)
    laid_out = building.lay_out(plan.content, plan.packing, source, context.progress)
    taken = _take_sequence(context, order)
    rotations = carried(context.station.paths)
    extensions = base.extensions() | plan.extensions() | to_extension(rotations)
    if rotations:
        context.log(f"carries {some(len(rotations), 'key rotation')}, {rotations[-1].id} the newest")
    manifest = _manifest(order, plan.content, laid_out, taken, extensions)
    algorithms = {keyid: _algorithm(context, keyid) for keyid in order.signers}
    raw = manifest_codec.encode(manifest)
    text = readme.render(manifest, algorithms)
    bundle = building.Signed(manifest, raw, text, building.sums_of(manifest, raw, text))
    fixed = SealedBundle(context.folder, bundle, own)
    fixed.save()
    return fixed


def _take_sequence(context: JobContext, order: BuildOrder) -> dict[str, Any]:
    waited_for = lapsed = ""
    while True:
        write = TakeSequence(
            stream=order.wanted.stream, job_id=context.job_id, at=clock.now(), voids=lapsed, new_site=order.new_site,
            actor=context.actor,
        )  # fmt: skip
        with recording(context.station.audit, _voided(context, lapsed)) if lapsed else nullcontext():
            taken: dict[str, Any] = context.station.writer.submit(write)
        if "waits_for" not in taken:
            return taken
        if taken["has_ended"] and lapsed != taken["waits_for"]:
            lapsed = taken["waits_for"]  # unsigned: its number is voided with the next try, and that is recorded first
            continue
        lapsed = ""
        if taken["waits_for"] != waited_for:
            waited_for = taken["waits_for"]
            context.log(
                f"waits until {waited_for} is signed or cancelled, one bundle of a stream at a time:"
                f" lockgate bundle sign --job {taken['job']} --key KEY, or lockgate job cancel {taken['job']}"
            )
        context.progress(f"{WAITS}{waited_for}, which is to be signed (job {taken['job']})", 0, 0)
        time.sleep(_LOOK)


def _manifest(
    order: BuildOrder,
    content: building.Content,
    laid_out: building.LaidOut,
    taken: Mapping[str, Any],
    extensions: dict[str, Any],
) -> BundleManifest:
    return BundleManifest(
        type=TYPE,
        format=Format(major=FORMAT_MAJOR, minor=FORMAT_MINOR),
        crit=[LEFT_OUT_EXTENSION] if LEFT_OUT_EXTENSION in extensions else [],  # older insides would call it torn
        extensions=extensions,
        id=bundle_id(order.wanted.stream, taken["sequence"]),
        stream=order.wanted.stream,
        sequence=taken["sequence"],
        previous=taken["previous"],
        voided=taken["voided"],
        created=clock.now(),
        not_after=order.not_after or clock.after(_VALID),
        purpose=order.purpose,
        authorisation=order.authorisation,
        classification=order.classification,
        signers=list(order.signers),
        artifacts=list(content.artifacts),
        blobs=laid_out.blobs,
        requires=list(content.requires),
        volumes=laid_out.volumes,
        sboms=list(content.sboms),
        signatures=list(content.signatures),
        attestations=list(content.attestations),
        tool=Tool(name="lockgate", version=version("lockgate")),
    )


def _algorithm(context: JobContext, keyid: str) -> str:
    """The algorithm of a signer's key, where this station knows the key: README.txt names the digest by it."""
    try:
        return find_public_key(context.station.paths, keyid).algorithm
    except LockgateError:
        return ""


def _signed(context: JobContext, order: BuildOrder, fixed: SealedBundle) -> SealedBundle:
    """Wait for the signature (unless an earlier run has it), and record that the stream has moved on."""
    if order.sign_with not in fixed.signed_by:
        manifest = fixed.manifest
        describe = {
            "id": manifest.id,
            "to": manifest.destination,
            "artifacts": len(manifest.artifacts),
            "volumes": len(manifest.volumes),
            "bytes": fixed.size,
            "digest": str(fixed.digest),
            "without_sbom": manifest.without_sbom(),
            "undescribed": manifest.undescribed(),
            "not_carried": manifest.not_carried(),
            "notes": [*_notes(context, order), *manifest.left_out()],
        }
        signatures = context.wait_signatures(fixed.bundle.sums, "bundle", [order.sign_with], describe)
        fixed = fixed.with_signature(order.sign_with, signatures[order.sign_with])
    context.station.writer.submit(SignBundle(id=fixed.manifest.id, digest=str(fixed.digest), at=clock.now()))
    carried = tuple(HeldRow(blob.digest, blob.size) for blob in fixed.manifest.blobs)
    context.station.writer.submit(
        RecordCarried(
            stream=order.wanted.stream, sequence=fixed.manifest.sequence, blobs=carried, tags=tags_of(fixed.manifest)
        )
    )
    return fixed


def _write(context: JobContext, order: BuildOrder, fixed: SealedBundle) -> Result:
    station, manifest = context.station, fixed.manifest
    media = _media(context, order)
    check_mounted(media, station.paths.root, fixed.on_own_disk)
    check_volume_size(media, max(volume.size for volume in manifest.volumes))
    check_room(manifest, by_number(manifest, media))
    detail = {"digest": str(fixed.digest), "bytes": fixed.size, "media": list(order.out)}
    source = StationBlobSource(station.blobs, station.metadata)
    started = time.monotonic()
    out = [medium.path for medium in media]
    told = telling(context, dict(enumerate(out, 1)))
    with recording(station.audit, AuditEvent(Act.BUNDLE_WRITE, context.actor, manifest.id, "done", detail)):
        folders = building.write(fixed.bundle, source, out, context.progress, context.log, told)
    seconds = round(time.monotonic() - started, 3)
    built = AuditEvent(Act.BUNDLE_BUILD, context.actor, manifest.id, "done", {**detail, "signed_by": fixed.signed_by})
    with recording(station.audit, built):
        places = tuple(map(str, folders))
        state = station.writer.submit(FinishBundle(id=manifest.id, at=clock.now(), places=places))
        if state == "voided":
            raise FailedError(
                "the bundle was given up while it was written",
                thing=manifest.id,
                remedy="take it off its media, and build anew: the next bundle says that its number is void",
            )
    return {
        "path": str(folders[0]),
        "media": [str(folder) for folder in folders],
        "id": manifest.id,
        "digest": str(fixed.digest),
        "volumes": len(manifest.volumes),
        "bytes": fixed.size,
        "seconds": seconds,
        "signed_by": fixed.signed_by,
        "missing_signers": [keyid for keyid in manifest.signers if keyid not in fixed.signed_by],
        "without_sbom": manifest.without_sbom(),
        "undescribed": manifest.undescribed(),
        "not_carried": manifest.not_carried(),
        "notes": [*_notes(context, order), *manifest.left_out()],
        "on_disk": on_disks(media),
    }


def _notes(context: JobContext, order: BuildOrder) -> list[str]:
    """What is to be said of tags that were named beside a digest and stand elsewhere."""
    notes = []
    for reference in (wish.exact for wish in map(Wish.parse, order.wanted.references)):
        if reference is not None and reference.tag is not None and reference.digest is not None:
            facts = context.station.metadata.tagged_manifest(reference.repository, reference.tag)
            notes.append(moved_tag(reference, None if facts is None else facts.digest))
    return [note for note in notes if note]
