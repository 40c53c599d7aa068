"""Whole stations whose blobs are in a bucket of a real server: the program itself, started as an operator starts it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests import s3_server
from tests.s3.station import Station


@pytest.fixture(scope="module")
def s3() -> Iterator[s3_server.S3Server]:
    """One server for the tests of a module: some of them stop it."""
    faster = os.access(s3_server.VERSITYGW, os.X_OK)
    with s3_server.running_server(s3_server.Versitygw if faster else s3_server.Swift) as running:
        yield running


@pytest.fixture(scope="module")
def station(s3: s3_server.S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """An open outside station that serves from a bucket of its own."""
    made = Station(tmp_path_factory.mktemp("stations") / "alpha", s3.new_place())
    made.make()
    made.start()
    yield made
    made.stop()
