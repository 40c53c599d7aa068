"""What makes a bundle manifest consistent: the rules of format 1 that one manifest can break by itself.

Every reader relies on them: each number about a blob, a part or a volume agrees with every other, each name is of its
own grammar (so no path can be made of one that is not), each list is in its one order, and nothing is named twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

from bundles import limits
from bundles.errors import MalformedError
from bundles.format.manifest import Artifact, Blob, BundleManifest, bundle_id
from bundles.format.volume_frame import START
from bundles.io.times import check_time
from bundles.oci.descriptor import check_media_type, is_platform
from bundles.oci.digest import Digest
from bundles.oci.reference import check_repository, check_site, check_tag
from bundles.signing.keys import check_keyid

KINDS: Final = ("index", "image", "chart", "sbom", "signature", "attestation", "file", "artifact")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")


def check(manifest: BundleManifest) -> None:
    """Raises MalformedError naming the first field that breaks a rule."""
    _check_identity(manifest)
    _check_texts(manifest)
    _check_signers(manifest)
    _check_volumes(manifest)
    _check_blobs(manifest)
    _check_places(manifest)
    _check_artifacts(manifest)
    _check_evidence(manifest)


def _check_identity(manifest: BundleManifest) -> None:
    for site in (manifest.source, manifest.destination):
        check_site(site)
    if manifest.source == manifest.destination:
        raise MalformedError("stream leads to its own source", thing=manifest.stream)
    if not 1 <= manifest.sequence <= limits.SEQUENCE:
        raise MalformedError("sequence is out of range", thing=str(manifest.sequence))
    if manifest.id != bundle_id(manifest.stream, manifest.sequence):
        raise MalformedError("id is not the stream's and sequence's", thing=manifest.id[:80])
    if manifest.previous is not None:
        if Digest.parse(manifest.previous).algorithm != "sha256":
            raise MalformedError("previous is not a sha256", thing=manifest.previous)
        if manifest.sequence == 1:
            raise MalformedError("previous is named by a stream's first bundle", thing=manifest.id)
    if len(manifest.voided) >= limits.SEQUENCE_STEP:
        raise MalformedError("voided names too many sequences", remedy=f"fewer than {limits.SEQUENCE_STEP}")
    _ascending(manifest.voided, "voided")
    if any(not 1 <= number < manifest.sequence for number in manifest.voided):
        raise MalformedError("voided names a sequence that is not before this one")
    check_time(manifest.created, "created")
    check_time(manifest.not_after, "not_after")
    if manifest.not_after < manifest.created:
        raise MalformedError("not_after lies before created", thing=manifest.not_after)


def _check_texts(manifest: BundleManifest) -> None:
    if manifest.format.minor < 0:
        raise MalformedError("format.minor is out of range", thing=str(manifest.format.minor))
    _ascending(manifest.crit, "crit")
    texts = {name: getattr(manifest, name) for name in ("purpose", "authorisation", "classification")}
    texts |= {"tool.name": manifest.tool.name, "tool.version": manifest.tool.version}
    for name, text in texts.items():
        if len(text) > limits.MANIFEST_TEXT:
            raise MalformedError(f"{name} is too long", remedy=f"at most {limits.MANIFEST_TEXT} characters")


def _check_signers(manifest: BundleManifest) -> None:
    _ascending(manifest.signers, "signers")
    for keyid in manifest.signers:
        check_keyid(keyid)
    if not 1 <= len(manifest.signers) <= limits.SIGNATURES:
        raise MalformedError(f"signers must name 1 to {limits.SIGNATURES} keys", thing=str(len(manifest.signers)))


def _check_volumes(manifest: BundleManifest) -> None:
    indexes = [volume.index for volume in manifest.volumes]
    if indexes != list(range(1, len(indexes) + 1)) or not 1 <= len(indexes) <= limits.VOLUMES:
        raise MalformedError("volumes are not numbered from 1 without a gap")
    media = {volume.medium for volume in manifest.volumes}
    if media != set(range(1, len(media) + 1)) or len(media) > limits.MEDIA:
        raise MalformedError("media are not numbered from 1 without a gap")
    for volume in manifest.volumes:
        _check_sha256(volume.sha256, f"volume {volume.index}")
        if not START <= volume.size <= limits.INTEGER:
            raise MalformedError("a volume's size is out of range", thing=str(volume.size))


def _check_blobs(manifest: BundleManifest) -> None:
    _ascending((blob.digest for blob in manifest.blobs), "blobs")
    _ascending((blob.digest for blob in manifest.requires), "requires")
    carried = {blob.digest for blob in manifest.blobs}
    for digest, size in _sizes(manifest).items():
        Digest.parse(digest)
        if not 0 <= size <= limits.INTEGER:
            raise MalformedError("a blob's size is out of range", thing=digest)
    for required in manifest.requires:
        if required.digest in carried:
            raise MalformedError("requires names a blob that is carried", thing=required.digest)


def _sizes(manifest: BundleManifest) -> dict[str, int]:
    """Every blob that is carried or required, and its bytes."""
    carried = {blob.digest: blob.size for blob in manifest.blobs}
    return carried | {required.digest: required.size for required in manifest.requires}


def _check_places(manifest: BundleManifest) -> None:
    """Every byte of every blob has one place, inside its volume and on no other's."""
    ranges = [place for blob in manifest.blobs for place in _places(blob)]
    sizes = {volume.index: volume.size for volume in manifest.volumes}
    end: dict[int, int] = {}
    for volume, offset, length in sorted(ranges):
        if volume not in sizes or offset < end.get(volume, START) or offset + length > sizes[volume]:
            raise MalformedError(
                "a blob's place is outside its volume or on another's", thing=f"volume {volume} at {offset}"
            )
        end[volume] = offset + length


def _places(blob: Blob) -> list[tuple[int, int, int]]:
    """The (volume, offset, length) of a blob's bytes, its fields checked."""
    if blob.parts is None:
        if blob.volume is None or blob.offset is None:
            raise MalformedError("a blob without a place", thing=blob.digest)
        return [(blob.volume, blob.offset, blob.size)]
    if blob.volume is not None or blob.offset is not None:
        raise MalformedError("a blob with a place and parts", thing=blob.digest)
    if not 2 <= len(blob.parts) <= limits.VOLUMES or sum(part.length for part in blob.parts) != blob.size:
        raise MalformedError("a blob's parts do not make it up", thing=blob.digest)
    for part in blob.parts:
        _check_sha256(part.sha256, f"a part of {blob.digest}")
        if part.length < 1:
            raise MalformedError("an empty part", thing=blob.digest)
    return [(part.volume, part.offset, part.length) for part in blob.parts]


def _check_artifacts(manifest: BundleManifest) -> None:
    _ascending(((artifact.repository, artifact.digest) for artifact in manifest.artifacts), "artifacts")
    sizes = _sizes(manifest)
    types: dict[str, str] = {}
    tagged: set[tuple[str, str]] = set()
    for artifact in manifest.artifacts:
        _check_artifact(artifact)
        if sizes.get(artifact.digest) != artifact.size or artifact.size > limits.OCI_MANIFEST:
            raise MalformedError(
                "an artifact that is neither carried nor required at its size", thing=artifact.digest[:160]
            )
        if types.setdefault(artifact.digest, artifact.mediaType) != artifact.mediaType:
            raise MalformedError("an artifact of two media types", thing=artifact.digest)
        for tag in artifact.tags:
            if (artifact.repository, tag) in tagged:
                raise MalformedError("a tag stands at two artifacts", thing=f"{artifact.repository}:{tag}")
            tagged.add((artifact.repository, tag))


def _check_artifact(artifact: Artifact) -> None:
    check_repository(artifact.repository)
    check_media_type(artifact.mediaType, "mediaType")
    if artifact.kind not in KINDS:
        raise MalformedError("an artifact of unknown kind", thing=repr(artifact.kind)[:60])
    if not is_platform(artifact.platform):
        raise MalformedError("a malformed platform", thing=repr(artifact.platform)[:100])
    _ascending(artifact.tags, "tags")
    for tag in artifact.tags:
        check_tag(tag)


def _check_evidence(manifest: BundleManifest) -> None:
    digests = {artifact.digest for artifact in manifest.artifacts}
    for name in ("sboms", "signatures", "attestations"):
        evidence = getattr(manifest, name)
        _ascending(((entry.subject, entry.digest) for entry in evidence), name)
        for entry in evidence:
            for digest in (entry.digest, entry.subject):
                if digest not in digests:
                    raise MalformedError(f"{name} names what is no artifact of the bundle", thing=digest[:160])


def _ascending(values: Iterable[Any], what: str) -> None:
    if any(not before < after for before, after in pairwise(values)):
        raise MalformedError(f"{what} is out of order or has doubles")


def _check_sha256(text: str, what: str) -> None:
    if not _SHA256.match(text):
        raise MalformedError(f"{what}: sha256 is not 64 lower-case hex digits", thing=repr(text)[:80])
