"""What a promotion shows: the manifests that were held against the gates, attached evidence, and what these name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.image_signatures.evidence import is_evidence, lists_evidence
from appliance.image_signatures.gated import Gated
from appliance.limits import registry as limits
from appliance.outgoing.closure import closure_of
from appliance.outgoing.closure_source import StationContent
from appliance.station import Station
from appliance.store.writes.copies import Item
from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.limits import OCI_MANIFEST
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class PromotedContent:
    """`items` are shown, manifests first; `attached` the tags of evidence, each with its digest; `left` are referrers
    that are no evidence, which nobody held against a gate."""

    items: Sequence[Item]
    attached: Sequence[tuple[str, str]]
    left: Sequence[str]


def promoted_content(station: Station, repository: str, root: Digest, looked: Gated) -> PromotedContent:
    """What the artifact reaches in its repository. Blocking.

    Raises RefusedError for what somebody has blocked or what reaches too much, FailedError for what is not whole or
    not in the store.
    """
    content = closure_of([Reference(repository, None, root)], StationContent(station.blobs, station.metadata)).content
    judged = {Digest.parse(one.digest) for one in looked.contents} | looked.indexes | looked.evidence
    manifests, blobs = dict[Digest, None](), dict[Digest, None]()
    attached, left = list[tuple[str, str]](), list[str]()
    for artifact in content.artifacts:
        digest = Digest.parse(artifact.digest)
        manifest = _parsed(station, digest)
        if digest not in judged and not _is_attached(station, repository, digest, manifest):
            left.append(str(digest))
            continue
        manifests[digest] = None
        blobs |= dict.fromkeys(blob.digest for blob in manifest.blobs)
        foreign = [layer.digest for layer in manifest.foreign]
        absent = set(station.metadata.unlinked(repository, foreign, "blob"))
        blobs |= dict.fromkeys(one for one in foreign if one not in absent)
        blobs |= dict.fromkeys(one.digest for one in manifest.manifests if one.media_type not in MANIFEST_TYPES)
        attached += [(tag, str(digest)) for tag in artifact.tags]
    items: list[Item] = [(str(one), "manifest") for one in manifests]
    items += [(str(one), "blob") for one in blobs if one not in manifests]
    if len(items) > limits.COPY_LINKS:
        raise RefusedError(
            "it reaches too much to be promoted", thing=f"{repository}@{root}",
            remedy=f"at most {limits.COPY_LINKS} manifests and blobs",
        )  # fmt: skip
    gone = next((one for one in (*manifests, *blobs) if not station.blobs.has_blob(one)), None)
    if gone is not None:
        raise FailedError(
            "a part of it is not in the store", thing=f"{gone} of {repository}@{root}", remedy="run: lockgate scrub"
        )
    return PromotedContent(items, attached, left)


def _parsed(station: Station, digest: Digest) -> Manifest:
    with station.blobs.open_blob(digest) as file:
        return parse_manifest(file.read(OCI_MANIFEST + 1))


def _is_attached(station: Station, repository: str, digest: Digest, manifest: Manifest) -> bool:
    """Whether a manifest is evidence, or an index at fallback tags of nothing else."""

    def tags(of: Digest) -> list[str]:
        return station.metadata.tags_of(repository, of)

    def is_child(child: Digest) -> bool:
        if station.metadata.linked_manifest(repository, child) is None:
            return True
        try:
            return is_evidence(station.blobs, _parsed(station, child), lambda: tags(child))
        except LockgateError:
            return False

    return is_evidence(station.blobs, manifest, lambda: tags(digest)) or lists_evidence(
        manifest, tags(digest), is_child
    )
