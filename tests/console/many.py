"""A real station that holds more than anybody looks at: written straight into its metadata, before it is served."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

from appliance.paths import StationPaths
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import LinkBlob, PutManifest
from bundles.oci.digest import Digest
from bundles.oci.manifest import EMPTY_JSON, OCI_EMPTY, OCI_MANIFEST
from tests.intake.inside import Inside

AT = "2026-05-04T14:00:00Z"
LARGE = "builds/nightly"


def large_station(root: Path, *, tags: int, repositories: int = 0) -> None:
    """Station bravo with `tags` tags in the repository LARGE, and `repositories` repositories of one tag each."""
    with Inside(root) as inside:
        digest = str(_one_artifact(inside))
    with contextlib.closing(sqlite3.connect(StationPaths(root).database)) as database, database:
        ((first,),) = database.execute("SELECT id FROM repositories WHERE name = ?", (LARGE,)).fetchall()
        named = ((first, f"build-{n:06d}", digest, AT) for n in range(tags))
        database.executemany("INSERT INTO tags VALUES (?, ?, ?, ?, NULL)", named)
        ids = range(first + 1, first + 1 + repositories)
        names = ((each, f"team/app-{each - first:05d}", AT) for each in ids)
        database.executemany("INSERT INTO repositories (id, name, created) VALUES (?, ?, ?)", names)
        links = ((each, digest, AT) for each in ids)
        database.executemany("INSERT INTO links VALUES (?, ?, 'manifest', ?, NULL)", links)
        database.executemany("INSERT INTO tags VALUES (?, '1.0', ?, ?, NULL)", ((each, digest, AT) for each in ids))


def _one_artifact(inside: Inside) -> Digest:
    """The manifest that all tags point at."""
    empty = Digest.of(EMPTY_JSON)
    layer = {"mediaType": OCI_EMPTY, "digest": str(empty), "size": len(EMPTY_JSON)}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x-build"}
    raw = json.dumps(document | {"config": layer, "layers": [layer]}).encode()
    digest = Digest.of(raw)
    blob = _row(inside, EMPTY_JSON)
    inside.writer.submit(LinkBlob(repository=LARGE, blob=blob, at=AT))
    manifest = ManifestRow(blob=_row(inside, raw), media_type=OCI_MANIFEST, artifact_type="application/x-build")
    inside.writer.submit(PutManifest(repository=LARGE, manifest=manifest, at=AT))
    return digest


def _row(inside: Inside, data: bytes) -> BlobRow:
    digest = Digest.of(data)
    return BlobRow(digest=str(digest), size=len(data), crc32=inside.station.blobs.put(data, digest))
