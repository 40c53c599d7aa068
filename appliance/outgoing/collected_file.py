"""The content of a file that was collected, by its reference: for what the station reads itself."""

from __future__ import annotations

from appliance.station import Station
from bundles import limits
from bundles.errors import FailedError, NotFoundError, RefusedError, UsageError
from bundles.io.display import safe
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import kind_of_manifest
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import Reference


def collected_file(station: Station, reference: Reference) -> tuple[Digest, Descriptor]:
    """The manifest's digest, and the one layer, of a collected file that a repository shows. Blocking.

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
    if kind != "file" or len(manifest.layers) != 1:
        raise UsageError(
            f"not a file, but {'an' if kind[0] in 'aeiou' else 'a'} {kind}",
            thing=str(reference),
            remedy="pull it from the registry, with skopeo, podman, helm or oras",
        )
    (layer,) = manifest.layers
    _require_unblocked(station, layer.digest)
    held = metadata.linked_blob(reference.repository, layer.digest)
    if held is None or held.size != layer.size:
        raise FailedError(
            "the file's content is not here", thing=str(layer.digest), remedy="collect or import it again"
        )
    return facts.digest, layer


def _require_unblocked(station: Station, digest: Digest) -> None:
    if (why := station.metadata.blocked(digest)) is not None:
        raise RefusedError(
            f"the content is blocked ({safe(why)[:120]})", thing=str(digest), remedy="see: lockgate block list"
        )
