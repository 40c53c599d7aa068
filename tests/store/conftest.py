"""A store in a temporary folder: a real SQLite file and real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.database import open_writer
from appliance.store.reads.registry import Metadata
from appliance.store.writer import LocalWriter


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    return StationPaths(tmp_path)


@pytest.fixture
def blobs(paths: StationPaths) -> BlobStore:
    return BlobStore(paths)


@pytest.fixture
def writer(paths: StationPaths) -> Iterator[LocalWriter]:
    connection = open_writer(paths.database)
    yield LocalWriter(connection)
    connection.close()


@pytest.fixture
def metadata(paths: StationPaths, writer: LocalWriter) -> Iterator[Metadata]:
    reader = Metadata(paths.database)
    yield reader
    reader.close()
