"""The `build` job: plan, SBOMs, lay out and hash, take the sequence, wait for the signature, write and compare.

What is fixed before the signature (manifest.json, README.txt, SHA256SUMS) is kept in the job's folder, and so is the
signature: after a power cut the job goes on with the same bytes, and writes only the volumes that are not there yet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.control.kinds import JobContext, Result
from appliance.control.public_keys import find_public_key
from appliance.observe.audit import AuditEvent
from appliance.outgoing.closure import closure_of
from appliance.outgoing.sbom import ensure_sboms
from appliance.outgoing.shown import StationShown
from appliance.store.station_source import StationBlobSource
from appliance.store.writes.outgoing import FinishBundle, SignBundle, TakeSequence, VoidSequence
from bundles import build as building
from bundles import limits, manifest_codec, readme, sums
from bundles.errors import FailedError, LockgateError, UsageError
from bundles.files import failures_named, os_failure, read_small, write_atomic
from bundles.manifest import FORMAT_MAJOR, FORMAT_MINOR, TYPE, BundleManifest, Format, Tool, bundle_id
from bundles.media import capacity
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference, check_site
from bundles.signing.keys import check_keyid

_VALID: Final = 365 * 24 * 3600
"""Seconds a bundle may be imported for, where --not-after does not say."""

_LOOK: Final = 0.5


def run(context: JobContext) -> Result:
    """Build a bundle by `params` (docs/reference/control-api.md, Jobs, build). Returns where it is."""
    order = _Order.read(context)
    try:
        bundle = _fixed(context) or _fix(context, order)
        bundle = _signed(context, order, bundle)
        return _write(context, order, bundle)
    except LockgateError:
        context.station.writer.submit(VoidSequence(job_id=context.job_id))
        raise


class _Order:
    """The params, checked."""

    def __init__(self, params: Mapping[str, Any], source: str) -> None:
        self.to = check_site(str(params["to"]))
        if self.to == source:
            raise UsageError("a bundle for one's own site", thing=self.to, remedy="name the inside's site with --to")
        self.stream = f"{source}.{self.to}"
        self.out = [Path(path) for path in params["out"]]
        self.volume = capacity(str(params.get("volume") or "fat32"))
        self.references = [Reference.parse(text) for text in params["references"]]
        self.sign_with = check_keyid(str(params["sign_with"]))
        self.signers = sorted({self.sign_with, *(check_keyid(keyid) for keyid in params.get("cosigners") or [])})
        self.texts = {name: str(params.get(name) or "") for name in ("purpose", "authorisation", "classification")}
        self.not_after = params.get("not_after")
        since = str(params.get("since") or "none")
        if since != "none":
            raise UsageError(
                "deltas are not built by this version", thing=f"--since {since}", remedy="leave it out, or say none"
            )
        if not self.out:
            raise UsageError("no medium was given", remedy="name a folder with --out")

    @classmethod
    def read(cls, context: JobContext) -> _Order:
        return cls(context.params, context.station.config.site)


def check_medium(path: Path) -> int:
    """The bytes free on a medium that can be written. Raises FailedError naming it and what to do."""
    with failures_named(path, "the medium cannot be used"):
        if not path.exists() and path.parent.is_dir():
            path.mkdir()
        usage = os.statvfs(path)
        if usage.f_flag & os.ST_RDONLY:
            raise FailedError("the medium is read-only", thing=str(path), remedy="clear its write-protection")
        if not path.is_dir():
            raise FailedError("the medium is not a folder", thing=str(path), remedy="give the folder it is mounted on")
        if not os.access(path, os.W_OK | os.X_OK):
            raise FailedError(
                "the medium may not be written by the station", thing=str(path), remedy="check its owner and mode"
            )
    return usage.f_bavail * usage.f_frsize


def _fixed(context: JobContext) -> building.Signed | None:
    """What an earlier run of this job fixed, or None."""
    folder = context.folder
    if not (folder / sums.NAME).exists():
        return None
    raw = read_small(folder / sums.MANIFEST, limits.BUNDLE_MANIFEST)
    return building.Signed(
        manifest=manifest_codec.decode(raw),
        manifest_bytes=raw,
        readme=read_small(folder / sums.README, limits.README_FILE),
        sums=read_small(folder / sums.NAME, limits.SUMS_FILE),
        signatures={path.name: read_small(path, limits.SIGNATURE_FILE) for path in folder.glob(f"{sums.NAME}.*.sig")},
    )


def _fix(context: JobContext, order: _Order) -> building.Signed:
    """Plan, lay out, take the sequence, and fix every byte that will be signed."""
    station = context.station
    free = [check_medium(path) for path in order.out]
    shown = StationShown(station.blobs, station.metadata)
    closure = closure_of(order.references, shown)
    if ensure_sboms(context, closure.images):
        closure = closure_of(order.references, shown)
    content = closure.content
    packing = building.plan_volumes(content, order.volume, free)
    context.log(f"{len(content.artifacts)} artifacts, {len(content.blobs)} blobs, {len(packing.volumes)} volumes")
    source = StationBlobSource(station.blobs, station.metadata)
    laid_out = building.lay_out(content, packing, source, context.progress)
    taken = _take_sequence(context, order.stream)
    manifest = _manifest(order, content, laid_out, taken)
    algorithms = {keyid: _algorithm(context, keyid) for keyid in order.signers}
    raw = manifest_codec.encode(manifest)
    text = readme.render(manifest, algorithms)
    bundle = building.Signed(manifest, raw, text, building.sums_of(manifest, raw, text))
    write_atomic(context.folder / sums.MANIFEST, raw)
    write_atomic(context.folder / sums.README, text)
    write_atomic(context.folder / sums.NAME, bundle.sums)
    return bundle


def _take_sequence(context: JobContext, stream: str) -> dict[str, Any]:
    waited_for = ""
    while True:
        taken: dict[str, Any] = context.station.writer.submit(
            TakeSequence(stream=stream, job_id=context.job_id, at=clock.now())
        )
        if "waits_for" not in taken:
            return taken
        if taken["waits_for"] != waited_for:
            waited_for = taken["waits_for"]
            context.log(f"waits until {waited_for} is signed or cancelled: one bundle of a stream at a time")
        context.progress(f"wait for {waited_for}", 0, 0)
        time.sleep(_LOOK)


def _manifest(
    order: _Order, content: building.Content, laid_out: building.LaidOut, taken: Mapping[str, Any]
) -> BundleManifest:
    return BundleManifest(
        type=TYPE,
        format=Format(major=FORMAT_MAJOR, minor=FORMAT_MINOR),
        crit=[],
        extensions={},
        id=bundle_id(order.stream, taken["sequence"]),
        stream=order.stream,
        sequence=taken["sequence"],
        previous=taken["previous"],
        voided=[number for number in taken["voided"] if number < taken["sequence"]],
        created=clock.now(),
        not_after=str(order.not_after or clock.after(_VALID)),
        purpose=order.texts["purpose"],
        authorisation=order.texts["authorisation"],
        classification=order.texts["classification"],
        signers=order.signers,
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


def _signed(context: JobContext, order: _Order, bundle: building.Signed) -> building.Signed:
    """Wait for the signature (unless an earlier run has it), and record that the stream has moved on."""
    name = f"{sums.NAME}.{order.sign_with}.sig"
    if name not in bundle.signatures:
        manifest = bundle.manifest
        describe = {
            "id": manifest.id,
            "to": manifest.destination,
            "artifacts": len(manifest.artifacts),
            "volumes": len(manifest.volumes),
            "bytes": sum(volume.size for volume in manifest.volumes),
            "digest": str(Digest.of(bundle.sums)),
        }
        signatures = context.wait_signatures(bundle.sums, "bundle", [order.sign_with], describe)
        write_atomic(context.folder / name, signatures[order.sign_with])
        bundle = building.Signed(
            manifest,
            bundle.manifest_bytes,
            bundle.readme,
            bundle.sums,
            {**bundle.signatures, name: signatures[order.sign_with]},
        )
    digest = str(Digest.of(bundle.sums))
    context.station.writer.submit(SignBundle(id=bundle.manifest.id, digest=digest))
    return bundle


def _write(context: JobContext, order: _Order, bundle: building.Signed) -> Result:
    station, manifest = context.station, bundle.manifest
    for path in order.out:
        check_medium(path)
    source = StationBlobSource(station.blobs, station.metadata)
    folders = building.write(bundle, source, order.out, context.progress, context.log)
    _settle(order.out)
    station.writer.submit(FinishBundle(id=manifest.id))
    digest = str(Digest.of(bundle.sums))
    signed = sorted(name.split(".")[1] for name in bundle.signatures)
    size = sum(volume.size for volume in manifest.volumes)
    detail = {"digest": digest, "signed_by": signed, "folders": [str(folder) for folder in folders], "bytes": size}
    station.audit.record(AuditEvent("bundle.build", context.actor, manifest.id, "done", detail))
    return {
        "path": str(folders[0]),
        "media": [str(folder) for folder in folders],
        "id": manifest.id,
        "digest": digest,
        "volumes": len(manifest.volumes),
        "bytes": size,
        "signed_by": signed,
        "missing_signers": [keyid for keyid in manifest.signers if keyid not in signed],
    }


def _settle(out: Sequence[Path]) -> None:
    """fsync of each medium's folder: after this it is safe to remove."""
    for path in out:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise os_failure(error, path, "the medium could not be settled") from None
