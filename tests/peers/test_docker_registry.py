"""Docker's own registry beside ours: images go from one to the other and back, and keep every digest."""

from __future__ import annotations

import itertools
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from bundles.oci.digest import Digest
from tests.peer_tools import require
from tests.peers.stock import Layout, run
from tests.registry_server import Server

pytestmark = pytest.mark.peer

TLS = ("--src-tls-verify=false", "--dest-tls-verify=false")


@pytest.fixture(scope="module")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its host and port."""
    require("docker-registry")
    folder = tmp_path_factory.mktemp("docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{host}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}'}}}}\n"
    )
    process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urlopen(f"http://{host}/v2/", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield host
    finally:
        process.kill()
        process.wait()


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
