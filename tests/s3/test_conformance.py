"""The distribution specification over a store whose blobs are in a bucket: the tests of tests/conformance of a whole
push and pull, and of deleting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.paths import StationPaths
from appliance.settings.blobs import BlobsSettings
from appliance.store.opening import make_in_bucket
from tests.conformance.conftest import repository  # noqa: F401  a fixture of theirs
from tests.conformance.test_deleting import *  # noqa: F403
from tests.conformance.test_whole_flow import *  # noqa: F403
from tests.registry_server import Server, Store
from tests.s3_server import KEY, SECRET, S3Server

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def server(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place, paths = s3.new_place(), StationPaths(tmp_path_factory.mktemp("store"))
    paths.keys.mkdir()
    paths.blobs_secret.write_text(f"{KEY}\n{SECRET}\n")
    paths.blobs_secret.chmod(0o600)
    make_in_bucket(paths, BlobsSettings(url=place.url, endpoint=place.endpoint, region=place.region))
    with Store(paths.root) as store:
        yield store.serve()
        assert not any(path.is_file() for path in paths.blobs.rglob("*"))
