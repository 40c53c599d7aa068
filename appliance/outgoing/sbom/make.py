"""SBOMs: one for every image platform, made once per digest, kept as a referrer and reused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.archives.contents import look
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.jobs.kinds import JobContext
from appliance.limits import archives as archives_limits
from appliance.limits import sbom as sbom_limits
from appliance.outgoing.collect.collector import manifest_row
from appliance.outgoing.sbom.index import index_write
from appliance.outgoing.sbom.syft import Sbom, Scan, UndescribedError
from appliance.outgoing.sbom.syft_binary import open_syft, require_syft
from appliance.station import Station
from appliance.store.writes.content import BlobRow
from appliance.store.writes.outgoing import AddArtifacts
from bundles import limits
from bundles.errors import FailedError, LockgateError, NotFoundError
from bundles.io import strict_json
from bundles.io.display import safe, some
from bundles.oci.digest import Digest
from bundles.oci.kinds import CYCLONEDX
from bundles.oci.manifest import EMPTY_JSON, OCI_EMPTY, OCI_MANIFEST, parse_manifest

_LOOK: Final = 0.05
"""Seconds between two looks at the scans under way."""


def make_sboms(context: JobContext, images: Sequence[tuple[str, Digest]], *, required: bool) -> list[dict[str, str]]:
    """Make an SBOM of each image (repository, digest), and attach it there.

    Returns what is said of each image that syft cannot describe: {image: `repository@digest`, layer: the first that is
    no archive, or "", why: syft's reason}; with `required` that is an error. Raises FailedError naming the image,
    RefusedError where the syft that config.toml names is another.
    """
    findings: list[dict[str, str]] = []

    def keep(image: Digest, made: Sbom | UndescribedError) -> None:
        if required and isinstance(made, UndescribedError):
            raise _with_layer(context.station, image, made)
        repositories = [repository for repository, digest in images if digest == image]
        findings.extend(_keep(context, repositories, image, made))

    describe(context, dict.fromkeys(digest for _, digest in images), keep)
    return findings


def describe(
    context: JobContext, images: Iterable[Digest], keep: Callable[[Digest, Sbom | UndescribedError], object]
) -> None:
    """Have syft describe images, and hand what it made of each, or why it could not, to `keep`. Raises what `keep`
    raises, FailedError, RefusedError as `make_sboms`."""
    station = context.station
    sizes = {digest: _size(station, digest) for digest in images}
    if not sizes:
        return
    syft = open_syft(station.config.sbom, context.folder)
    if station.config.sbom.syft:
        try:
            require_syft(syft, context.folder)
        except FailedError:
            syft.close()
            raise
    waiting, running = list(sizes), list[Scan]()
    total, done = sum(sizes.values()), 0
    try:
        while waiting or running:
            while waiting and len(running) < sbom_limits.SBOM_AT_ONCE:
                digest = waiting.pop(0)
                folder = context.folder / f"sbom-{digest.hex[:16]}"
                running.append(Scan(station.blobs, station.paths, syft, folder, digest))
            context.progress("sbom", done, total)
            time.sleep(_LOOK)
            for scan in list(running):
                made = _polled(scan)
                if made is None:
                    continue
                if scan.has_network:
                    context.log("syft was not confined: no network namespace may be made here")
                running.remove(scan)
                scan.close()
                done += sizes[scan.digest]
                keep(scan.digest, made)
    finally:
        for scan in running:
            scan.close()
        syft.close()
    context.progress("sbom", done, total)


def _polled(scan: Scan) -> Sbom | UndescribedError | None:
    try:
        return scan.poll()
    except UndescribedError as error:
        return error


def _with_layer(station: Station, image: Digest, error: UndescribedError) -> UndescribedError:
    """`error`, and the first layer of the image that is no archive."""
    layer = _faulty_layer(station, image)
    what = f"{error.what} (layer {layer})" if layer else error.what
    return UndescribedError(what, thing=error.thing, remedy=error.remedy, code=error.code)


def _keep(
    context: JobContext, repositories: Sequence[str], image: Digest, made: Sbom | UndescribedError
) -> list[dict[str, str]]:
    """Attach an image's SBOM in each of its repositories; or say in the log, and return, why there is none."""
    if isinstance(made, UndescribedError):
        layer, why = _faulty_layer(context.station, image), made.what
        findings = [{"image": f"{name}@{image}", "layer": layer, "why": why} for name in repositories]
        for one in findings:
            where = f"layer {layer}: " if layer else ""
            context.log(f"[!!] {one['image']} has no SBOM: {where}{why}; {made.remedy}")
        return findings
    for repository in repositories:
        attach(context, repository, image, made)
    context.log(f"SBOM of {image}: {some(made.components, 'component')}, by {made.tool}")
    return []


def _faulty_layer(station: Station, image: Digest) -> str:
    """The first layer, or the configuration, that is not what an image has there, with the reason; "" for none."""
    with station.blobs.open_blob(image) as file:
        manifest = parse_manifest(file.read(limits.OCI_MANIFEST))
    config = manifest.config
    if config is not None and config.size <= archives_limits.CONFIG_READ:
        try:
            with station.blobs.open_blob(config.digest) as file:
                raw = file.read(archives_limits.CONFIG_READ)
            told = strict_json.loads(
                raw, ceiling=archives_limits.CONFIG_READ, nodes=archives_limits.CONFIG_NODES, what="it", floats=True
            )
        except LockgateError as error:
            return f"{config.digest} (the configuration; {error.what})"
        if not isinstance(told, dict):
            return f"{config.digest} (the configuration; it is no JSON object)"
    deadline = time.monotonic() + archives_limits.LAYERS_TIME
    for layer in manifest.layers:
        if not station.blobs.has_blob(layer.digest):
            return f"{layer.digest} (a foreign layer that is not held)"
        looked = look(station.blobs.open_blob(layer.digest), layer.size, deadline)
        odd = looked.found.get("ambiguous")
        if looked.failed or looked.content != "archive" or odd:
            reason = looked.failed or (f"it is {looked.content}, no archive" if looked.content != "archive" else "")
            return f"{layer.digest} ({safe(reason or 'readers take it differently')[:160]})"
    return ""


def _size(station: Station, digest: Digest) -> int:
    """The bytes that syft will read."""
    with station.blobs.open_blob(digest) as file:
        return sum(blob.size for blob in parse_manifest(file.read()).blobs)


def attach(context: JobContext, repository: str, subject: Digest, sbom: Sbom) -> None:
    """Keep an SBOM as a referrer of its image (image specification, manifest.md, subject)."""
    station = context.station
    facts = station.metadata.manifest(subject)
    if facts is None:
        raise NotFoundError("the image is gone", thing=f"{repository}@{subject}", remedy="collect it again")
    layer = Digest.of(sbom.document)
    raw = strict_json.canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": CYCLONEDX,
            "config": {"mediaType": OCI_EMPTY, "digest": str(Digest.of(EMPTY_JSON)), "size": len(EMPTY_JSON)},
            "layers": [{"mediaType": CYCLONEDX, "digest": str(layer), "size": len(sbom.document)}],
            "subject": {"mediaType": facts.media_type, "digest": str(subject), "size": facts.size},
        }
    )
    rows = [
        BlobRow(digest=str(digest), size=len(data), crc32=station.blobs.put(data, digest))
        for digest, data in ((layer, sbom.document), (Digest.of(EMPTY_JSON), EMPTY_JSON))
    ]
    digest = Digest.of(raw)
    manifest = manifest_row(digest, raw, parse_manifest(raw), station.blobs.put(raw, digest))
    detail = {"digest": str(digest), "components": sbom.components, "tool": sbom.tool}
    event = AuditEvent(Act.SBOM_ATTACH, context.actor, f"{repository}@{subject}", "done", detail)
    with recording(station.audit, event):
        station.writer.submit(
            AddArtifacts(repository=repository, blobs=tuple(rows), manifests=(manifest,), tags=(), at=clock.now())
        )
    key = index_key(station.paths)
    station.writer.submit(index_write(key, str(subject), str(digest), sbom.document, "own"))
