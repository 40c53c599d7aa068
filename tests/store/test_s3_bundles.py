"""A bundle is built out of a bucket and imported into another one, by the classes that do it with files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.intake.store_sink import StoreSink
from appliance.outgoing.blob_source import StationBlobSource
from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.ports import Connection
from appliance.store.reads.registry import Metadata
from appliance.store.writes.content import BlobRow, record_blobs
from bundles import build
from bundles.errors import FailedError
from bundles.limits import MIB
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.volumes.read import ranges_of, read_volume
from tests.bundles.small import NOW, SmallBundle
from tests.s3_server import S3Server, make_s3_blobs
from tests.store.test_s3 import exchange, put

pytestmark = pytest.mark.s3


def imported(bundle: SmallBundle, folder: Path, store: object, metadata: Metadata, paths: StationPaths) -> StoreSink:
    """Every volume of a bundle, read into a store."""
    station = SimpleNamespace(blobs=store, metadata=metadata, paths=paths)
    sink = StoreSink(station, bundle.manifest, Digest.of(bundle.signed.sums), set())  # type: ignore[arg-type]
    ranges = ranges_of(bundle.manifest)
    for volume in bundle.manifest.volumes:
        path = folder / "volumes" / f"{volume.index:04}.7z"
        read_volume(path, bundle.manifest, volume.index, ranges[volume.index], sink, lambda _: None)
    return sink


@pytest.mark.parametrize("source", ["sqlite"], indirect=True)
@pytest.mark.parametrize("single", [5 * 1024 * MIB, MIB], ids=["whole", "parts"])
def test_a_bundle_is_built_from_a_bucket_and_imported_into_another_with_the_same_bytes(
    s3: S3Server,
    blobs: BlobStore,
    paths: StationPaths,
    metadata: Metadata,
    connection: Connection,
    tmp_path: Path,
    single: int,
) -> None:
    bundle = SmallBundle(tmp_path / "files")
    outside = make_s3_blobs(s3.new_place(), blobs, single_put=single)
    rows = []
    for digest, data in bundle.store.blobs.items():
        put(outside, data, digest)
        rows.append(BlobRow(digest=str(digest), size=len(data), crc32=bundle.store.crc32(digest)))
    record_blobs(connection, rows, NOW)
    read_from = StationBlobSource(outside, metadata)
    packing = build.plan_volumes(bundle.content, 1_200_000, [None])
    laid_out = build.lay_out(bundle.content, packing, read_from, no_progress)
    assert laid_out == bundle.laid_out
    out = tmp_path / "medium"
    out.mkdir()
    (folder,) = build.write(bundle.signed, read_from, [out], no_progress)
    inside = make_s3_blobs(s3.new_place(), blobs, single_put=single)
    sink = imported(bundle, folder, inside, metadata, paths)
    assert sorted(map(str, inside.list_blobs())) == sorted(map(str, bundle.store.blobs))
    assert all(inside.is_whole(digest) for digest in bundle.store.blobs)
    taken = sink.take_rows([each for listed in ranges_of(bundle.manifest).values() for each in listed])
    assert sorted(taken, key=lambda row: row.digest) == sorted(rows, key=lambda row: row.digest)
    assert [path for path in paths.uploads.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("source", ["sqlite"], indirect=True)
def test_a_damaged_blob_of_a_bucket_is_in_no_bundle_and_an_import_replaces_it(
    s3: S3Server, blobs: BlobStore, paths: StationPaths, metadata: Metadata, tmp_path: Path
) -> None:
    bundle = SmallBundle(tmp_path / "files")
    place = s3.new_place()
    store = make_s3_blobs(place, blobs)
    for digest, data in bundle.store.blobs.items():
        put(store, data, digest)
    for digest, data in bundle.store.blobs.items():
        if data:
            exchange(place, f"blobs/{digest.algorithm}/{digest.hex}", data[:-1] + bytes([data[-1] ^ 1]))
    packing = build.plan_volumes(bundle.content, 1_200_000, [None])
    with pytest.raises(FailedError) as refused:
        build.lay_out(bundle.content, packing, StationBlobSource(store, metadata), no_progress)
    assert any(str(digest) in refused.value.thing for digest in bundle.store.blobs)
    assert not any(store.is_whole(digest) for digest, data in bundle.store.blobs.items() if data)
    imported(bundle, bundle.folder, store, metadata, paths)
    assert all(store.is_whole(digest) for digest in bundle.store.blobs)
