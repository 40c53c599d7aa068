"""SBOMs: one for every image platform, made once per digest, kept as a referrer and reused."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from appliance import clock
from appliance import limits as station_limits
from appliance.control.kinds import JobContext
from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent
from appliance.observe.recorded import recording
from appliance.outgoing.collect import manifest_row
from appliance.outgoing.syft import Sbom, Scan, UndescribedError
from appliance.outgoing.syft_binary import open_syft, require_syft
from appliance.station import Station
from appliance.store.writes.outgoing import AddArtifacts
from appliance.store.writes.registry import BlobRow
from bundles import strict_json
from bundles.display import some
from bundles.errors import FailedError, NotFoundError
from bundles.oci.digest import Digest
from bundles.oci.kinds import CYCLONEDX
from bundles.oci.manifest import EMPTY_JSON, OCI_EMPTY, OCI_MANIFEST, parse_manifest

_LOOK: Final = 0.05
"""Seconds between two looks at the scans under way."""


def make_sboms(context: JobContext, images: Sequence[tuple[str, Digest]], *, required: bool) -> None:
    """Make an SBOM of each image (repository, digest), and attach it there.

    An image that syft cannot describe is named in the job's log with syft's reason; with `required` that is an error.
    Raises FailedError naming the image, RefusedError where the syft that config.toml names is another.
    """
    if not images:
        return
    station = context.station
    syft = open_syft(station.config.sbom, context.folder)
    if station.config.sbom.syft:
        try:
            require_syft(syft, context.folder)
        except FailedError:
            syft.close()
            raise
    sizes = {digest: _size(station, digest) for _, digest in images}
    waiting, running = list(sizes), list[Scan]()
    total, done = sum(sizes.values()), 0
    try:
        while waiting or running:
            while waiting and len(running) < station_limits.SBOM_AT_ONCE:
                digest = waiting.pop(0)
                folder = context.folder / f"sbom-{digest.hex[:16]}"
                running.append(Scan(station.blobs, station.paths, syft, folder, digest))
            context.progress("sbom", done, total)
            time.sleep(_LOOK)
            for scan in list(running):
                made = _polled(scan, required)
                if made is None:
                    continue
                if scan.has_network:
                    context.log("syft was not confined: no network namespace may be made here")
                running.remove(scan)
                scan.close()
                done += sizes[scan.digest]
                _keep(
                    context, [repository for repository, digest in images if digest == scan.digest], scan.digest, made
                )
    finally:
        for scan in running:
            scan.close()
        syft.close()
    context.progress("sbom", done, total)


def _polled(scan: Scan, required: bool) -> Sbom | UndescribedError | None:
    try:
        return scan.poll()
    except UndescribedError as error:
        if required:
            raise
        return error


def _keep(context: JobContext, repositories: Sequence[str], image: Digest, made: Sbom | UndescribedError) -> None:
    """Attach an image's SBOM in each of its repositories, or say in the log why there is none."""
    if isinstance(made, UndescribedError):
        for repository in repositories:
            context.log(f"[!!] {repository}@{image} has no SBOM: {made.what}; {made.remedy}")
        return
    for repository in repositories:
        _attach(context, repository, image, made)
    context.log(f"SBOM of {image}: {some(made.components, 'component')}, by {made.tool}")


def _size(station: Station, digest: Digest) -> int:
    """The bytes that syft will read."""
    with station.blobs.open_blob(digest) as file:
        return sum(blob.size for blob in parse_manifest(file.read()).blobs)


def _attach(context: JobContext, repository: str, subject: Digest, sbom: Sbom) -> None:
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
