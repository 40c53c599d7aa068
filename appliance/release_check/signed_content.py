"""What a bundle holds by its signed manifest, wherever that can still be read: never by rows that anybody can write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from appliance.paths import StationPaths
from appliance.store.errors import EngineError
from appliance.store.ports import Reader
from appliance.store.reads.intake import is_in_intake, signed_files
from bundles import limits
from bundles.errors import LockgateError
from bundles.format.sums import MANIFEST, parse
from bundles.io import strict_json
from bundles.io.files import read_small
from bundles.oci.digest import Digest

_LOOKED_FOR: Final = 16
"""Names that are looked for in a manifest's bytes before it is decoded."""


@dataclass(frozen=True, slots=True)
class SignedArtifact:
    """An artifact of a signed manifest."""

    repository: str
    digest: str
    media_type: str
    tags: tuple[str, ...]


class _Named(msgspec.Struct, frozen=True, gc=False):
    """Of a blob its digest alone: a manifest names up to 200,000."""

    digest: str


class _Artifact(msgspec.Struct, frozen=True):
    repository: str
    digest: str
    tags: list[str]
    mediaType: str = ""  # noqa: N815  the OCI name


class _Artifacts(msgspec.Struct, frozen=True):
    artifacts: list[_Artifact]


class _Blobs(msgspec.Struct, frozen=True):
    blobs: list[_Named]


class _Requires(msgspec.Struct, frozen=True):
    requires: list[_Named]


T = TypeVar("T")


def _decode(raw: bytes, what: type[T]) -> T | None:
    """One part of a manifest, the rest passed over; None where it is none or holds more than a manifest may. What is in
    it is counted before anything is decoded."""
    try:
        strict_json.check_structure(raw, nodes=limits.BUNDLE_MANIFEST_NODES, what="a bundle's manifest")
        return msgspec.json.decode(raw, type=what)
    except (LockgateError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def blobs_of(raw: bytes) -> list[str]:
    """The digests that a manifest carries; none where it cannot be decoded."""
    found = _decode(raw, _Blobs)
    return [] if found is None else [one.digest for one in found.blobs]


def required_by(raw: bytes) -> list[str]:
    """The digests that a manifest stands on besides; none where it cannot be decoded."""
    found = _decode(raw, _Requires)
    return [] if found is None else [one.digest for one in found.requires]


def artifacts_of(raw: bytes) -> tuple[SignedArtifact, ...] | None:
    """The artifacts of a manifest; None where it cannot be decoded."""
    found = _decode(raw, _Artifacts)
    if found is None:
        return None
    return tuple(SignedArtifact(one.repository, one.digest, one.mediaType, tuple(one.tags)) for one in found.artifacts)


def kept_manifest(paths: StationPaths, digest: str, manifest: str) -> bytes | None:
    """The manifest of bundle `digest` that is kept beside the database; None where it is not the one with the digest
    `manifest`, which the audit log names."""
    if not manifest:
        return None
    try:
        raw = read_small(paths.imported / f"{Digest.parse(digest).hex}.json", limits.BUNDLE_MANIFEST)
    except (LockgateError, OSError):
        return None
    return raw if str(Digest.of(raw)) == manifest else None


def entry_manifest(reader: Reader, digest: str) -> bytes | None:
    """The manifest of the bundle's entry in the database; None where it is missing, or not what was signed."""
    try:
        files = signed_files(reader, digest) if is_in_intake(reader, digest) else None
        if files is None or str(Digest.of(files.sums)) != digest:
            return None
        signed = {line.path: line.sha256 for line in parse(files.sums)}
        return files.manifest if signed.get(MANIFEST) == Digest.of(files.manifest).hex else None
    except (LockgateError, EngineError, ValueError, TypeError):  # damaged pages are no entry either
        return None


def signed_manifest(paths: StationPaths, reader: Reader, digest: str, manifest: str) -> bytes | None:
    """The bundle's signed manifest from whichever place still holds it, `manifest` as for `kept_manifest`."""
    raw = kept_manifest(paths, digest, manifest)
    return entry_manifest(reader, digest) if raw is None else raw


def signed_artifacts(
    paths: StationPaths,
    reader: Reader | None,
    digest: str,
    manifest: str,
    only: frozenset[str] | None = None,
) -> tuple[SignedArtifact, ...] | None:
    """The artifacts of the bundle's signed manifest, `manifest` being its digest by the audit log ("": not known); None
    where neither place holds it any more. With `only`, a manifest that names none of these repositories gives none."""
    raw = kept_manifest(paths, digest, manifest)
    if raw is None and reader is not None:
        raw = entry_manifest(reader, digest)
    if raw is None:
        return None
    if only is not None and len(only) <= _LOOKED_FOR and not any(name.encode() in raw for name in only):
        return ()
    return artifacts_of(raw)
