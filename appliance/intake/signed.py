"""What a bundle holds by its signed manifest, wherever that can still be read: never by rows that anybody can write."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Final

from appliance.intake.ledger import signed_files
from appliance.paths import StationPaths
from bundles import limits
from bundles.errors import LockgateError
from bundles.files import read_small
from bundles.oci.digest import Digest
from bundles.sums import MANIFEST, parse

_LOOKED_FOR: Final = 16
"""Names that are looked for in a manifest's bytes before it is decoded."""


@dataclass(frozen=True, slots=True)
class SignedArtifact:
    """An artifact of a signed manifest."""

    repository: str
    digest: str
    media_type: str
    tags: tuple[str, ...]


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


def entry_manifest(reader: sqlite3.Connection, digest: str) -> bytes | None:
    """The manifest of the bundle's entry in the database; None where it is missing, or not what was signed."""
    row = reader.execute("SELECT 1 FROM intake WHERE digest = ?", (digest,)).fetchone()
    try:
        files = signed_files(reader, digest) if row is not None else None
        if files is None or str(Digest.of(files.sums)) != digest:
            return None
        signed = {line.path: line.sha256 for line in parse(files.sums)}
        return files.manifest if signed.get(MANIFEST) == Digest.of(files.manifest).hex else None
    except (LockgateError, ValueError, TypeError):
        return None


def signed_artifacts(
    paths: StationPaths,
    reader: sqlite3.Connection | None,
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
    try:
        return tuple(
            SignedArtifact(
                str(one["repository"]), str(one["digest"]), str(one["mediaType"]), tuple(map(str, one["tags"]))
            )
            for one in json.loads(raw)["artifacts"]
        )
    except (ValueError, LookupError, TypeError):
        return None
