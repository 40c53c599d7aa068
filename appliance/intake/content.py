"""What the artifacts of a quarantined bundle are: every manifest read, and nothing missing beneath it."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.outgoing.collect import manifest_row
from appliance.station import Station
from appliance.store.writes.intake import Released
from bundles import limits
from bundles.errors import IncompleteError, MalformedError, RefusedError
from bundles.manifest import Artifact, BundleManifest
from bundles.oci.digest import Digest, new_hasher
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.ports import Progress


@dataclass(frozen=True, slots=True)
class Checked:
    """An artifact and the reading of its manifest."""

    artifact: Artifact
    manifest: Manifest
    raw: bytes


def check_requires(station: Station, manifest: BundleManifest, progress: Progress) -> None:
    """Re-hash what a delta stands on. Raises IncompleteError naming what is missing, RefusedError what has rotted."""
    total, done = sum(required.size for required in manifest.requires), 0
    for required in manifest.requires:
        digest = Digest.parse(required.digest)
        if not station.blobs.has_blob(digest):
            raise IncompleteError("the delta's base is missing", thing=str(digest), remedy="ask for a full bundle")
        hasher = new_hasher(digest.algorithm)
        with station.blobs.open_blob(digest) as file:
            while chunk := file.read(limits.CHUNK):
                hasher.update(chunk)
                done += len(chunk)
                progress("check the base", done, total)
        if hasher.hexdigest() != digest.hex:
            raise RefusedError("the delta's base has rotted", thing=str(digest), remedy="ask for a full bundle")


def check_content(station: Station, manifest: BundleManifest) -> list[Checked]:
    """Read every artifact's manifest and require that everything it names is carried or required.

    Raises RefusedError: a manifest that is not of its announced type, or that names what did not come.
    """
    sizes = {blob.digest: blob.size for blob in manifest.blobs}
    sizes |= {required.digest: required.size for required in manifest.requires}
    shown = {(artifact.repository, artifact.digest) for artifact in manifest.artifacts}
    checked = []
    for artifact in manifest.artifacts:
        raw = read_manifest(station, Digest.parse(artifact.digest))
        try:
            found = parse_manifest(raw, artifact.mediaType)
        except MalformedError as error:
            raise RefusedError(error.what, thing=f"{artifact.repository}@{artifact.digest}: {error.thing}") from None
        for blob in found.blobs:
            if sizes.get(str(blob.digest)) != blob.size:
                raise RefusedError(
                    "an artifact names a blob that did not come",
                    thing=f"{artifact.repository}@{artifact.digest}: {blob.digest}",
                )
        for child in found.manifests:
            if child.media_type in MANIFEST_TYPES and (artifact.repository, str(child.digest)) not in shown:
                raise RefusedError(
                    "an index names a manifest that did not come",
                    thing=f"{artifact.repository}@{artifact.digest}: {child.digest}",
                )
        checked.append(Checked(artifact, found, raw))
    return checked


def read_manifest(station: Station, digest: Digest) -> bytes:
    """A manifest's bytes from the store, hashed again. Raises RefusedError."""
    with station.blobs.open_blob(digest) as file:
        raw = file.read(limits.OCI_MANIFEST + 1)
    if Digest.of(raw, digest.algorithm) != digest:
        raise RefusedError("a manifest's bytes are not its digest's", thing=str(digest))
    return raw


def to_release(station: Station, manifest: BundleManifest) -> tuple[Released, ...]:
    """What a release shows, read and checked anew. Raises RefusedError where the store lacks a blob of it."""
    sizes = {blob.digest: blob.size for blob in manifest.blobs}
    sizes |= {required.digest: required.size for required in manifest.requires}
    for text, size in sizes.items():
        digest = Digest.parse(text)
        if not station.blobs.has_blob(digest) or station.blobs.size(digest) != size:
            raise RefusedError(
                "a blob is missing from the store", thing=text, remedy="import the bundle's medium again"
            )
    released = []
    for entry in check_content(station, manifest):
        digest = Digest.parse(entry.artifact.digest)
        row = manifest_row(digest, entry.raw, entry.manifest, station.metadata.crc32(digest))
        blobs = tuple(str(blob.digest) for blob in entry.manifest.blobs)
        released.append(
            Released(repository=entry.artifact.repository, manifest=row, blobs=blobs, tags=tuple(entry.artifact.tags))
        )
    return tuple(released)
