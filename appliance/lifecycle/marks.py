"""What garbage collection must not take: links, pins, builds that wait; and links that no manifest gives a reason."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.outgoing.fixed import Fixed
from appliance.station import Station
from appliance.store.writes.jobs import FINAL_STATES
from bundles import limits
from bundles.errors import FailedError, LockgateError, NotFoundError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest


@dataclass(frozen=True, slots=True)
class Unreferenced:
    """A repository's blobs that none of its `manifests` names."""

    repository: str
    blobs: tuple[str, ...]
    manifests: tuple[str, ...]


def unreferenced(station: Station, before: str) -> Iterator[Unreferenced | str]:
    """For each repository with blobs linked before the time `before` that no manifest there names, those; where one of
    its manifests cannot be read, a sentence about it, and nothing of it is given. Reads every manifest there."""
    names = station.reader.execute("SELECT id, name FROM repositories ORDER BY name").fetchall()
    for repository, name in names:
        old = _links(station.reader, repository, "blob", before)
        if not old:
            continue
        manifests = _links(station.reader, repository, "manifest")
        try:
            for digest in manifests:
                old -= named_by(station, Digest.parse(digest))
        except LockgateError as error:
            yield f"{name}: nothing was unlinked: {error.diagnostics()}"
            continue
        if old:
            yield Unreferenced(name, tuple(sorted(old)), tuple(sorted(manifests)))


def named_by(station: Station, digest: Digest) -> set[str]:
    """Every digest that a held manifest names. Raises NotFoundError, FailedError where it is damaged."""
    with station.blobs.open_blob(digest) as file:
        raw = file.read(limits.OCI_MANIFEST + 1)
    if Digest.of(raw, digest.algorithm) != digest:
        raise FailedError("a manifest is damaged on disk", thing=str(digest), remedy="run: lockgate scrub")
    manifest = parse_manifest(raw)
    named = [*manifest.layers, *manifest.manifests, *([manifest.config] if manifest.config else [])]
    return {str(descriptor.digest) for descriptor in named}


def _links(reader: sqlite3.Connection, repository: int, kind: str, before: str = "9") -> set[str]:
    rows = reader.execute(
        "SELECT digest FROM links WHERE repository_id = ? AND kind = ? AND created < ?", (repository, kind, before)
    )
    return {digest for (digest,) in rows}


def waiting_for_builds(station: Station) -> frozenset[str]:
    """Blobs of bundles whose bytes are fixed and whose jobs have not ended: their media are still to be written."""
    marks = ",".join("?" * len(FINAL_STATES))
    rows = station.reader.execute(
        f"SELECT id FROM jobs WHERE kind = 'build' AND state NOT IN ({marks})",  # noqa: S608  only question marks
        tuple(FINAL_STATES),
    )
    kept: set[str] = set()
    for (job_id,) in rows.fetchall():
        try:
            fixed = Fixed.load(station.paths.job(job_id))
        except NotFoundError:
            continue
        if fixed is not None:
            kept.update(blob.digest for blob in fixed.manifest.blobs)
    return frozenset(kept)
