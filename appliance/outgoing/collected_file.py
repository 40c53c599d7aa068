"""The content of a file that was collected, by its reference: for what the station reads itself."""

from __future__ import annotations

from typing import Final

from appliance.outgoing.collect.names import TITLE
from appliance.station import Station
from bundles import limits
from bundles.errors import FailedError, NotFoundError, RefusedError, UsageError
from bundles.io.display import safe
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import kind_of_manifest
from bundles.oci.manifest import Manifest, parse_manifest
from bundles.oci.reference import Reference

CHART_ARCHIVE: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_STOCK: Final = "pull it from the registry, with skopeo, podman, helm or oras"
_VERSION: Final = "org.opencontainers.image.version"


def collected_file(
    station: Station, reference: Reference, *, charts: bool = False, remedy: str = _STOCK
) -> tuple[Digest, Descriptor]:
    """The manifest's digest, and the one layer, of a collected file that a repository shows; with `charts` also that of
    a Helm chart, its archive, called as `helm package` calls it; `remedy` is for what is neither. Blocking.

    Raises NotFoundError, UsageError for what is no file, RefusedError for what people have blocked, FailedError.
    """
    metadata = station.metadata
    facts = (
        metadata.linked_manifest(reference.repository, reference.digest)
        if reference.digest is not None
        else metadata.tagged_manifest(reference.repository, reference.tag or "")
    )
    if facts is None:
        raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
    _require_unblocked(station, facts.digest)
    with station.blobs.open_blob(facts.digest) as file:
        raw = file.read(limits.OCI_MANIFEST + 1)
    if Digest.of(raw, facts.digest.algorithm) != facts.digest:
        raise FailedError("a manifest is damaged on disk", thing=str(facts.digest), remedy="run: lockgate scrub")
    manifest = parse_manifest(raw, facts.media_type)
    kind = kind_of_manifest(manifest)
    if charts and kind == "chart":
        layer = _archive_of(manifest, reference)
    elif kind == "file" and len(manifest.layers) == 1:
        (layer,) = manifest.layers
    else:
        raise UsageError(
            f"not a file, but {'an' if kind[0] in 'aeiou' else 'a'} {kind}",
            thing=str(reference),
            remedy=remedy,
        )
    _require_unblocked(station, layer.digest)
    held = metadata.linked_blob(reference.repository, layer.digest)
    if held is None or held.size != layer.size:
        raise FailedError(
            "the file's content is not here", thing=str(layer.digest), remedy="collect or import it again"
        )
    return facts.digest, layer


def _archive_of(manifest: Manifest, reference: Reference) -> Descriptor:
    """The layer that is a chart's archive (Helm, HIP 6), with the name `helm package` gives it. Raises UsageError."""
    layer = next((one for one in manifest.layers if one.media_type == CHART_ARCHIVE), None)
    if layer is None:
        raise UsageError("the chart holds no archive", thing=str(reference), remedy="push it again with helm")
    said = [manifest.annotations.get(key, "") for key in ("org.opencontainers.image.title", _VERSION)]
    name, version = said if all(said) else (reference.repository.rpartition("/")[2], reference.tag or "")
    named = {TITLE: f"{name}-{version}.tgz" if version else f"{name}.tgz"}
    return Descriptor(layer.media_type, layer.digest, layer.size, annotations=named)


def _require_unblocked(station: Station, digest: Digest) -> None:
    if (why := station.metadata.blocked(digest)) is not None:
        raise RefusedError(
            f"the content is blocked ({safe(why)[:120]})", thing=str(digest), remedy="see: lockgate block list"
        )
