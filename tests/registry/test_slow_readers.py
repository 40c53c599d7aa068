"""A client that takes nothing of its answer has so much time, and then holds neither memory nor a connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from appliance.access.certificates import make_ca, make_server
from appliance.access.tls import server_context
from appliance.limits import registry as limits
from appliance.registry.conditional import Span
from appliance.registry.sending import send_file
from appliance.settings.station import Config
from tests.conformance.shapes import LAYER, image
from tests.registry_server import Server, Store


def connections(server: Server) -> int:
    assert server.runner.server is not None
    return len(server.runner.server.connections)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_an_answer_of_some_megabytes_is_not_kept_for_ever(
    store: Store, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = None
    if secure:
        make_ca(store.paths, "bravo")
        make_server(store.paths, ["127.0.0.1"])
        context = server_context(Config(site="bravo", side="inside"), store.paths)
    large = {f"large-{number}": "A" * 10_000 for number in range(390)}
    image((LAYER,), annotations=large).push(store.serve(), "team/app", "1")
    monkeypatch.setattr(limits, "SEND_IDLE", 1.0)
    server = store.serve(tls=context)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        if secure:
            trusting = ssl.create_default_context(cafile=str(Path(store.paths.tls) / "ca.pem"))
            client = trusting.wrap_socket(client, server_hostname="127.0.0.1")  # noqa: PLW2901
        client.sendall(b"GET /v2/team/app/manifests/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(16) == b"HTTP/1.1 200 OK\r"
        deadline = time.monotonic() + 60
        while connections(server):
            assert time.monotonic() < deadline, "the connection is still held"
            time.sleep(0.05)
        client.close()


@pytest.mark.parametrize("policy", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_client_that_goes_before_a_file_begins_is_a_broken_connection(
    tmp_path: Path, policy: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """The headers lay unsent when it went: the transport has no socket any more, and that is the client's doing."""
    file, raised = tmp_path / "blob", list[Exception]()
    file.write_bytes(bytes(1_000))

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        assert request.transport is not None
        request.transport.write(bytes(64 << 20))  # more than the kernel takes
        with file.open("rb") as stream, ThreadPoolExecutor(1) as threads:
            sending = asyncio.ensure_future(send_file(request, response, stream.fileno(), Span(0, 1_000), threads))
            await asyncio.sleep(0)
            request.transport.abort()
            raised.extend(error for error in await asyncio.gather(sending, return_exceptions=True) if error)
        return response

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
        writer.close()
        await runner.cleanup()

    with asyncio.Runner(loop_factory=policy) as loop:
        loop.run(run())
    assert [type(error) for error in raised] == [ConnectionResetError]


def test_who_reads_gets_it_whole(store: Store, server: Server) -> None:
    large = {f"large-{number}": "A" * 10_000 for number in range(390)}
    content = image((LAYER,), annotations=large)
    content.push(server, "team/app", "1")
    connection = server.connect()
    for _ in range(2):
        connection.request("GET", "/v2/team/app/manifests/1")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, content.manifest)
    connection.request("HEAD", "/v2/team/app/manifests/1")
    assert (connection.getresponse().read(), connection.sock is not None) == (b"", True)
