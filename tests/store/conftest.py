"""A store in a temporary folder: real files, and a real SQLite file or a real database of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader, open_writer
from appliance.store.engine import Source
from appliance.store.ports import Connection, Reader
from appliance.store.reads.registry import Metadata
from appliance.store.writer import LocalWriter
from tests.postgres_server import PostgresServer, running_server


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    return StationPaths(tmp_path)


@pytest.fixture
def blobs(paths: StationPaths) -> BlobStore:
    return BlobStore(paths)


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
