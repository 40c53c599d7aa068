"""A station that shows a great many blobs, recorded without their bytes: a plan reads manifests and metadata alone."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from appliance import clock
from appliance.station import Station
from appliance.store.rows import add_functions
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import LinkBlob, PutManifest
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import EMPTY_JSON, OCI_MANIFEST

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
FILE = "application/vnd.example.files"


def fill(station: Station, artifacts: int, layers: int) -> list[str]:
    """Show `artifacts` artifacts of `layers` layers each, 1 kB to 5 MB; their references."""
    with closing(sqlite3.connect(station.paths.database)) as db, db:
        add_functions(db)
        return _fill(db, station, artifacts, layers)


def _fill(db: sqlite3.Connection, station: Station, artifacts: int, layers: int) -> list[str]:
    """In one transaction: as many pushes would take minutes."""
    at = clock.now()
    config = Digest.of(EMPTY_JSON)
    references = []
    for number in range(artifacts):
        repository = f"many/app{number % 20}"
        blobs = list(_layers(number, layers))
        raw = canonical(
            {
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": FILE,
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(config), "size": 2},
                "layers": [{"mediaType": LAYER, "digest": blob.digest, "size": blob.size} for blob in blobs],
            }
        )  # fmt: skip
        digest = Digest.of(raw)
        station.paths.blob(digest).write_bytes(raw)
        for blob in (BlobRow(digest=str(config), size=2, crc32=0), *blobs):
            LinkBlob(repository=repository, blob=blob, at=at).apply(db)
        row = ManifestRow(
            blob=BlobRow(digest=str(digest), size=len(raw), crc32=0), media_type=OCI_MANIFEST, artifact_type=FILE
        )
        PutManifest(repository=repository, manifest=row, at=at, tags=(f"v{number}",)).apply(db)
        references.append(f"{repository}:v{number}")
    return references


def _layers(artifact: int, count: int) -> Iterator[BlobRow]:
    for number in range(count):
        name = hashlib.sha256(f"{artifact} {number}".encode())
        size = 1_000 + int.from_bytes(name.digest()[:3], "big") % 5_000_000
        yield BlobRow(digest=f"sha256:{name.hexdigest()}", size=size, crc32=0)
