"""What a signer signs: the artifact that a reference names, and what an index names, by the bytes of the store."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from appliance.image_signatures.evidence import is_evidence
from appliance.limits import image_signatures as signature_limits
from appliance.store.ports import Blobs
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.registry import Metadata
from bundles import limits
from bundles.errors import NotFoundError, RefusedError
from bundles.oci.digest import Digest
from bundles.oci.kinds import kind_of_manifest
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class ToBeSigned:
    """An artifact as a signature names it; `size` of its manifest in bytes, `platform` "" where nothing gives one."""

    digest: Digest
    media_type: str
    size: int
    kind: str
    platform: str


def subjects_of(
    blobs: Blobs, metadata: Metadata, reference: Reference, *, recursive: bool
) -> tuple[list[ToBeSigned], list[Digest]]:
    """What `reference` names, and with `recursive` every image beneath an index, each once and an index before its
    children; and the digests of those that an index names and that are not here. Evidence is left out beneath an index.

    Blocking. Raises NotFoundError; RefusedError where somebody has blocked one, or an index names too much.
    """
    repository = reference.repository
    facts = facts_of(metadata, reference)
    found: dict[Digest, ToBeSigned] = {}
    absent: dict[Digest, None] = {}
    todo: deque[tuple[ManifestFacts, str, int]] = deque([(facts, "", 0)])
    left = signature_limits.SIGNATURES_READ
    while todo:
        one, platform, depth = todo.popleft()
        if one.digest in found:
            continue
        left -= one.size
        if len(found) >= signature_limits.SIGNED_IMAGES or depth > limits.INDEX_DEPTH or left < 0:
            raise RefusedError(
                "an index names too much to be signed together",
                thing=str(reference),
                remedy=f"sign at most {signature_limits.SIGNED_IMAGES} together;"
                " an index's signature covers its images",
            )
        require_unblocked(metadata, one.digest)
        manifest = parse_manifest(read_manifest(blobs, one), one.media_type)
        if depth and _is_evidence(blobs, metadata, repository, manifest, one.digest):
            continue
        found[one.digest] = ToBeSigned(one.digest, one.media_type, one.size, kind_of_manifest(manifest), platform)
        for child in manifest.manifests if recursive else ():
            if child.media_type not in MANIFEST_TYPES:
                continue
            below = metadata.linked_manifest(repository, child.digest)
            if below is None:
                absent[child.digest] = None
            else:
                todo.append((below, str(child.platform or ""), depth + 1))
            if len(absent) + len(todo) > 2 * signature_limits.SIGNED_IMAGES:
                break
    return list(found.values()), list(absent)


def facts_of(metadata: Metadata, reference: Reference) -> ManifestFacts:
    """The manifest that a reference names. Raises NotFoundError."""
    if reference.digest is not None:
        facts = metadata.linked_manifest(reference.repository, reference.digest)
    else:
        facts = metadata.tagged_manifest(reference.repository, reference.tag or "")
    if facts is None:
        raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
    return facts


def require_unblocked(metadata: Metadata, digest: Digest) -> None:
    """Go on only where nobody has blocked the digest. Raises RefusedError."""
    why = metadata.blocked(digest)
    if why is not None:
        raise RefusedError(
            f"it is blocked: {why}", thing=str(digest), remedy="ask who blocked it; see: lockgate block list"
        )


def read_manifest(blobs: Blobs, facts: ManifestFacts) -> bytes:
    """A manifest's bytes, which are its digest's. Raises NotFoundError, RefusedError."""
    with blobs.open_blob(facts.digest) as file:
        raw = file.read(limits.OCI_MANIFEST + 1)
    if Digest.of(raw, facts.digest.algorithm) != facts.digest:
        raise RefusedError("a manifest's bytes are not its digest's", thing=str(facts.digest), remedy="lockgate scrub")
    return raw


def _is_evidence(blobs: Blobs, metadata: Metadata, repository: str, manifest: Manifest, digest: Digest) -> bool:
    return is_evidence(blobs, manifest, lambda: metadata.tags_of(repository, digest))
