"""Docker's own registry beside ours: images go from one to the other and back, and keep every digest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.oci.digest import Digest
from tests.peers.stock import Layout, docker_registry_in, run
from tests.registry_server import Server

pytestmark = pytest.mark.peer

TLS = ("--src-tls-verify=false", "--dest-tls-verify=false")


@pytest.fixture(scope="module")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its host and port."""
    with docker_registry_in(tmp_path_factory.mktemp("docker-registry")) as host:
        yield host


@pytest.mark.parametrize("name", ["amd64", "both"])
def test_an_image_goes_to_dockers_registry_and_back(
    server: Server, docker_registry: str, layout: Layout, tmp_path: Path, name: str
) -> None:
    stops = [f"docker://{server.host}/there/{name}:1", f"docker://{docker_registry}/app/{name}:1"]
    stops = [f"oci:{layout.folder}:{name}", *stops, f"docker://{server.host}/back/{name}:1"]
    for source, target in itertools.pairwise(stops):
        run("skopeo", "copy", "--quiet", "--all", *TLS, source, target)
    for stop in stops[1:]:
        raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", stop)
        assert str(Digest.of(raw.encode())) == layout.digest(name)
