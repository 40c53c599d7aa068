"""The bundle manifest's bytes: encoding, strict decoding, and the consistency every reader relies on.

A manifest that decodes is canonical (its bytes are the only ones for its content), closed (no unknown field outside
`extensions`), and consistent: every number it gives about a blob, a part or a volume agrees with every other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

import msgspec

from bundles import limits, strict_json
from bundles.errors import MalformedError, RefusedError
from bundles.manifest import FORMAT_MAJOR, KNOWN_CRIT, TYPE, Blob, BundleManifest, bundle_id
from bundles.oci.descriptor import check_media_type
from bundles.oci.digest import Digest
from bundles.oci.reference import check_repository, check_site, check_tag
from bundles.signing.keys import check_keyid
from bundles.times import check_time

KINDS: Final = ("index", "image", "chart", "sbom", "signature", "attestation", "file", "artifact")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_HEADER: Final = 32
"""Bytes before the first blob of a volume: 7z's start header."""


def encode(manifest: BundleManifest) -> bytes:
    """Canonical bytes. Raises MalformedError where the manifest is not consistent."""
    check(manifest)
    return strict_json.canonical(msgspec.to_builtins(manifest))


def decode(raw: bytes) -> BundleManifest:
    """The manifest in `raw`.

    Raises RefusedError for a newer major format or an unknown `crit`; MalformedError for everything else that is not
    the one canonical form of a consistent manifest.
    """
    document = strict_json.loads_canonical(raw, ceiling=limits.BUNDLE_MANIFEST, what="manifest.json")
    _check_readable(document)
    try:
        manifest = msgspec.convert(document, BundleManifest, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError("manifest.json is not a bundle manifest", thing=str(error)[:160]) from None
    if strict_json.canonical(msgspec.to_builtins(manifest)) != raw:
        raise MalformedError(
            "manifest.json is not canonical", remedy="a default must be written, an absent field absent"
        )
    check(manifest)
    return manifest


def _check_readable(document: Any) -> None:
    """What decides whether this reader may read on at all, looked at before anything else."""
    fields = document if isinstance(document, dict) else {}
    if fields.get("type") != TYPE:
        raise MalformedError("manifest.json is another kind of document", thing=repr(fields.get("type"))[:100])
    form = fields.get("format")
    major = form.get("major") if isinstance(form, dict) else None
    if major != FORMAT_MAJOR:
        raise RefusedError(
            "a bundle of another major format",
            thing=repr(major)[:40],
            remedy=f"this Lockgate reads {FORMAT_MAJOR}: update it",
        )
    crit = fields.get("crit")
    unknown = sorted({str(name) for name in crit} - KNOWN_CRIT) if isinstance(crit, list) else []
    if unknown:
        raise RefusedError(
            "a bundle that needs features this Lockgate lacks", thing=", ".join(unknown)[:160], remedy="update it"
        )


def check(manifest: BundleManifest) -> None:
    """Every rule of format 1 that one manifest can break by itself. Raises MalformedError naming the field."""
    _check_identity(manifest)
    _check_volumes(manifest)
    _check_blobs(manifest)
    _check_artifacts(manifest)


def _check_identity(manifest: BundleManifest) -> None:
    for site in (manifest.source, manifest.destination):
        check_site(site)
    if manifest.source == manifest.destination:
        raise MalformedError("stream leads to its own source", thing=manifest.stream)
    if not 1 <= manifest.sequence <= limits.SEQUENCE:
        raise MalformedError("sequence is out of range", thing=str(manifest.sequence))
    if manifest.id != bundle_id(manifest.stream, manifest.sequence):
        raise MalformedError("id is not the stream's and sequence's", thing=manifest.id)
    if manifest.previous is not None and Digest.parse(manifest.previous).algorithm != "sha256":
        raise MalformedError("previous is not a sha256", thing=manifest.previous)
    _ascending(manifest.voided, "voided")
    if any(not 1 <= number < manifest.sequence for number in manifest.voided):
        raise MalformedError("voided names a sequence that is not before this one")
    check_time(manifest.created, "created")
    check_time(manifest.not_after, "not_after")
    if manifest.not_after < manifest.created:
        raise MalformedError("not_after lies before created", thing=manifest.not_after)
    _ascending(manifest.crit, "crit")
    _ascending(manifest.signers, "signers")
    for keyid in manifest.signers:
        check_keyid(keyid)
    if not 1 <= len(manifest.signers) <= limits.SIGNATURES:
        raise MalformedError("signers must name 1 to 32 keys", thing=str(len(manifest.signers)))


def _check_volumes(manifest: BundleManifest) -> None:
    indexes = [volume.index for volume in manifest.volumes]
    if indexes != list(range(1, len(indexes) + 1)) or not 1 <= len(indexes) <= limits.VOLUMES:
        raise MalformedError("volumes are not numbered from 1 without a gap")
    media = [volume.medium for volume in manifest.volumes]
    if sorted(set(media)) != list(range(1, max(media) + 1)) or max(media) > limits.MEDIA:
        raise MalformedError("media are not numbered from 1 without a gap")
    for volume in manifest.volumes:
        _sha256(volume.sha256, f"volume {volume.index}")
        if not _HEADER <= volume.size <= limits.INTEGER:
            raise MalformedError("a volume's size is out of range", thing=str(volume.size))


def _check_blobs(manifest: BundleManifest) -> None:
    _ascending((blob.digest for blob in manifest.blobs), "blobs")
    _ascending((blob.digest for blob in manifest.requires), "requires")
    carried = {blob.digest for blob in manifest.blobs}
    for required in manifest.requires:
        Digest.parse(required.digest)
        if required.digest in carried or not 0 <= required.size <= limits.INTEGER:
            raise MalformedError("requires names a blob that is carried, or a bad size", thing=required.digest)
    ranges: list[tuple[int, int, int]] = []
    for blob in manifest.blobs:
        Digest.parse(blob.digest)
        ranges += _ranges(blob)
    sizes = {volume.index: volume.size for volume in manifest.volumes}
    end: dict[int, int] = {}
    for volume, offset, length in sorted(ranges):
        if volume not in sizes or offset < end.get(volume, _HEADER) or offset + length > sizes[volume]:
            raise MalformedError(
                "a blob's place is outside its volume or on another's", thing=f"volume {volume} at {offset}"
            )
        end[volume] = offset + length


def _ranges(blob: Blob) -> list[tuple[int, int, int]]:
    """The (volume, offset, length) of a blob's bytes, its fields checked."""
    if blob.size < 0 or blob.size > limits.INTEGER:
        raise MalformedError("a blob's size is out of range", thing=blob.digest)
    if blob.parts is None:
        if blob.volume is None or blob.offset is None:
            raise MalformedError("a blob without a place", thing=blob.digest)
        return [(blob.volume, blob.offset, blob.size)]
    if blob.volume is not None or blob.offset is not None:
        raise MalformedError("a blob with a place and parts", thing=blob.digest)
    if len(blob.parts) < 2 or sum(part.length for part in blob.parts) != blob.size:
        raise MalformedError("a blob's parts do not make it up", thing=blob.digest)
    for part in blob.parts:
        _sha256(part.sha256, f"a part of {blob.digest}")
        if part.length < 1:
            raise MalformedError("an empty part", thing=blob.digest)
    return [(part.volume, part.offset, part.length) for part in blob.parts]


def _check_artifacts(manifest: BundleManifest) -> None:
    _ascending(((artifact.repository, artifact.digest) for artifact in manifest.artifacts), "artifacts")
    sizes = {blob.digest: blob.size for blob in manifest.blobs}
    sizes |= {required.digest: required.size for required in manifest.requires}
    digests = set()
    tagged: set[tuple[str, str]] = set()
    for artifact in manifest.artifacts:
        check_repository(artifact.repository)
        check_media_type(artifact.mediaType, "mediaType")
        _ascending(artifact.tags, "tags")
        for tag in artifact.tags:
            check_tag(tag)
            if (artifact.repository, tag) in tagged:
                raise MalformedError("a tag stands at two artifacts", thing=f"{artifact.repository}:{tag}")
            tagged.add((artifact.repository, tag))
        if artifact.kind not in KINDS:
            raise MalformedError("an artifact of unknown kind", thing=repr(artifact.kind)[:60])
        if sizes.get(artifact.digest) != artifact.size or artifact.size > limits.OCI_MANIFEST:
            raise MalformedError("an artifact that is neither carried nor required at its size", thing=artifact.digest)
        digests.add(artifact.digest)
    for name in ("sboms", "signatures", "attestations"):
        evidence = getattr(manifest, name)
        _ascending(((entry.subject, entry.digest) for entry in evidence), name)
        for entry in evidence:
            if entry.digest not in digests:
                raise MalformedError(f"{name} names what is no artifact of the bundle", thing=str(entry.digest)[:160])


def _ascending(values: Iterable[Any], what: str) -> None:
    if any(not before < after for before, after in pairwise(values)):
        raise MalformedError(f"{what} is out of order or has doubles")


def _sha256(text: str, what: str) -> None:
    if not _SHA256.match(text):
        raise MalformedError(f"{what}: sha256 is not 64 lower-case hex digits", thing=repr(text)[:80])
