"""A store in a temporary folder: real files, and a real SQLite file or a real database of a PostgreSQL server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader, open_writer
from appliance.store.engine import Source
from appliance.store.ports import Blobs, Connection, Reader
from appliance.store.reads.registry import Metadata
from appliance.store.writer import LocalWriter
from bundles.oci.digest import Digest
from tests import s3_server
from tests.postgres_server import PostgresServer, running_server

if TYPE_CHECKING:
    from appliance.store.s3.place import S3Place


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    return StationPaths(tmp_path)


@pytest.fixture
def blobs(paths: StationPaths) -> BlobStore:
    return BlobStore(paths)


@pytest.fixture(scope="session")
def versitygw() -> Iterator[s3_server.S3Server]:
    """One server for the tests of this process."""
    with s3_server.running_server(s3_server.Versitygw) as server:
        yield server


@pytest.fixture(scope="session")
def swift() -> Iterator[s3_server.S3Server]:
    """One server for the tests of this process."""
    with s3_server.running_server(s3_server.Swift) as server:
        yield server


@pytest.fixture(scope="session")
def s3(request: pytest.FixtureRequest) -> s3_server.S3Server:
    """A server of S3: the faster one, where it is there."""
    faster = os.access(s3_server.VERSITYGW, os.X_OK)
    server: s3_server.S3Server = request.getfixturevalue("versitygw" if faster else "swift")
    return server


@pytest.fixture
def s3_place(s3: s3_server.S3Server) -> S3Place:
    """A bucket of this test's own."""
    return s3.new_place()


@pytest.fixture(params=["files", pytest.param("s3", marks=pytest.mark.s3)])
def held_in(request: pytest.FixtureRequest) -> str:
    """What holds the blobs of this test: each test that takes `stored` runs over both."""
    return str(request.param)


@pytest.fixture
def stored(request: pytest.FixtureRequest, held_in: str, blobs: BlobStore) -> Blobs:
    """The blobs of a station, in files or in a bucket of a real server; what arrives is below `paths.uploads`."""
    if held_in == "files":
        return blobs
    return s3_server.make_s3_blobs(request.getfixturevalue("s3_place"), blobs)


@pytest.fixture
def exchange(request: pytest.FixtureRequest, held_in: str, paths: StationPaths) -> Callable[[Digest, bytes], object]:
    """Puts other bytes in the place of a blob of `stored`, behind the store's back."""
    if held_in == "files":
        return lambda digest, data: paths.blob(digest).write_bytes(data)
    place: S3Place = request.getfixturevalue("s3_place")

    def exchange_object(digest: Digest, data: bytes) -> None:
        s3_server.make_bucket(place).put_over(f"blobs/{digest.algorithm}/{digest.hex}", data, len(data))

    return exchange_object


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the tests of this process."""
    with running_server() as server:
        yield server


class SqliteFile:
    """The station's own database, as a `Source`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open_reader(self) -> Reader:
        return open_reader(self._path)

    def open_writer(self) -> Connection:
        return open_writer(self._path)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def source(request: pytest.FixtureRequest, paths: StationPaths) -> Source:
    """Where the metadata of this test is: each test that takes it runs on both engines."""
    if request.param == "sqlite":
        return SqliteFile(paths.database)
    from appliance.store.postgres.engine import PostgresEngine

    server: PostgresServer = request.getfixturevalue("postgres")
    return PostgresEngine(server.new_database())


@pytest.fixture
def connection(source: Source) -> Iterator[Connection]:
    """The write connection."""
    made = source.open_writer()
    yield made
    made.close()


@pytest.fixture
def writer(connection: Connection) -> LocalWriter:
    return LocalWriter(connection)


@pytest.fixture
def metadata(paths: StationPaths, source: Source, writer: LocalWriter) -> Iterator[Metadata]:
    reader = Metadata(paths.database, source)
    yield reader
    reader.close()
