"""Blobs of any size pass through, on either event loop, plain and under TLS, and are never held in memory."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import resource
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uvloop

from appliance.limits import registry as limits
from bundles.oci.digest import Digest
from tests.registry_server import Server, Store

SIZES = [0, 1, limits.SMALL_BLOB, limits.SMALL_BLOB + 1, 20_000_000]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop() if request.param == "asyncio" else uvloop.new_event_loop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key `k` and a certificate `c` for loopback, by the stock openssl."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c -days 1"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder


class TlsClient:
    """The same requests as tests.registry_server.Client's, over TLS."""

    def __init__(self, server: Server, certificate: Path) -> None:
        context = ssl.create_default_context(cafile=certificate / "c")
        self._connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=context)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_passes_on_either_event_loop(store: Store, loop: asyncio.AbstractEventLoop, size: int) -> None:
    server = store.serve(loop=loop)
    body = os.urandom(size)
    digest = server.push_blob("team/app", body)
    assert server.ask("GET", f"/v2/team/app/blobs/{digest}").body == body


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_passes_under_tls(store: Store, loop: asyncio.AbstractEventLoop, certificate: Path, size: int) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "c", certificate / "k")
    client = TlsClient(store.serve(loop=loop, tls=context), certificate)
    body = os.urandom(size)
    digest = Digest.of(body)
    assert client.ask("POST", f"/v2/team/app/blobs/uploads/?digest={digest}", body) == (201, b"")
    assert client.ask("GET", f"/v2/team/app/blobs/{digest}") == (200, body)
    if size > 2:
        ranged = client.ask("GET", f"/v2/team/app/blobs/{digest}", headers={"Range": "bytes=1-"})
        assert ranged == (206, body[1:])


def test_many_get_a_blob_under_tls_at_the_same_time(store: Store, certificate: Path) -> None:
    """More of them than are sent in large pieces (appliance.registry.sending)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "c", certificate / "k")
    server = store.serve(loop=uvloop.new_event_loop(), tls=context)
    body = os.urandom(5_000_001)
    path = f"/v2/team/app/blobs/{Digest.of(body)}"
    clients = [TlsClient(server, certificate) for _ in range(8)]
    clients[0].ask("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(body)}", body)
    with ThreadPoolExecutor(len(clients)) as threads:
        assert list(threads.map(lambda client: client.ask("GET", path), clients)) == [(200, body)] * len(clients)
    assert clients[0].ask("GET", path) == (200, body)


def test_a_large_blob_is_never_held_in_memory(server: Server) -> None:
    piece = os.urandom(1_000_000)
    pieces = 300

    def stream() -> Iterator[bytes]:
        for _ in range(pieces):
            yield piece

    expected = hashlib.sha256()
    for each in stream():
        expected.update(each)
    digest = Digest("sha256", expected.hexdigest())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    location = server.ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
    assert server.ask("PATCH", location, stream()).status == 202
    assert server.ask("PUT", f"{location}?digest={digest}").status == 201
    connection = server.connect()
    connection.request("GET", f"/v2/team/app/blobs/{digest}")
    answer, received = connection.getresponse(), hashlib.sha256()
    while data := answer.read(1_000_000):
        received.update(data)
    connection.close()
    assert received.hexdigest() == digest.hex
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 60_000_000
