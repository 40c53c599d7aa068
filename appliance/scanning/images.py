"""The images behind a reference: the image itself, or every one that an index lists."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.limits import scanning as scanning_limits
from appliance.station import Station
from appliance.store.reads.left_out import left_out_platform
from bundles import limits
from bundles.errors import FailedError, LockgateError, NotFoundError, UsageError
from bundles.oci.digest import Digest
from bundles.oci.kinds import kind_of_manifest
from bundles.oci.manifest import Manifest, parse_manifest
from bundles.oci.nesting import manifests_of
from bundles.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a repository. `held` is false for one that an index lists and the repository does not show."""

    repository: str
    digest: Digest
    platform: str
    held: bool = True


def images_of(station: Station, reference: Reference) -> tuple[Digest, list[Image]]:
    """The digest that a reference names, and the images behind it, each once. Blocking.

    Raises NotFoundError, UsageError for what holds no image, FailedError for a manifest that is damaged.
    """
    metadata, repository = station.metadata, reference.repository
    facts = (
        metadata.linked_manifest(repository, reference.digest)
        if reference.digest is not None
        else metadata.tagged_manifest(repository, reference.tag or "")
    )
    if facts is None:
        raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
    found, seen, waiting = list[Image](), {facts.digest}, [(facts.digest, "")]
    while waiting:
        digest, platform = waiting.pop()
        shown = metadata.linked_manifest(repository, digest)
        if shown is None and left_out_platform(station.reader, repository, digest) is not None:
            continue
        if shown is None:
            found.append(Image(repository, digest, platform, held=False))
            continue
        manifest = _manifest(station, digest, shown.media_type)
        if not manifest.is_index:
            if kind_of_manifest(manifest) == "image":
                found.append(Image(repository, digest, platform))
            continue
        platforms = {child.digest: str(child.platform or "") for child in manifest.manifests}
        further = [child for child in manifests_of(manifest) if child not in seen]
        seen.update(further)
        waiting += [(child, platforms[child]) for child in reversed(dict.fromkeys(further))]
        if len(seen) > scanning_limits.SCAN_IMAGES:
            raise UsageError("the index names too many manifests", thing=str(reference))
    if not found:
        raise UsageError("no image, so no SBOM is made of it", thing=str(reference), remedy="name an image or an index")
    return facts.digest, found


def is_image(station: Station, digest: str) -> bool:
    """Whether a manifest is an image, by its bytes; one that cannot be read may be. Blocking."""
    facts = station.metadata.manifest(Digest.parse(digest))
    if facts is None:
        return True
    try:
        return kind_of_manifest(_manifest(station, facts.digest, facts.media_type)) == "image"
    except LockgateError:
        return True


def manifest_of(station: Station, digest: Digest) -> Manifest:
    """A manifest that the store holds, whatever shows it. Blocking. Raises NotFoundError, FailedError."""
    facts = station.metadata.manifest(digest)
    if facts is None:
        raise NotFoundError("no such manifest", thing=str(digest), remedy="see: lockgate repo list")
    return _manifest(station, digest, facts.media_type)


def _manifest(station: Station, digest: Digest, media_type: str) -> Manifest:
    with station.blobs.open_blob(digest) as file:
        raw = file.read(limits.OCI_MANIFEST + 1)
    if Digest.of(raw, digest.algorithm) != digest:
        raise FailedError("a manifest is damaged on disk", thing=str(digest), remedy="run: lockgate scrub")
    return parse_manifest(raw, media_type)
