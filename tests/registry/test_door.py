"""Connections that are not served: bounded in number and time, so that they shut nobody out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.access.certificates import make_ca, make_server
from appliance.access.tls import server_context
from appliance.addresses import origin_of
from appliance.door import Door
from appliance.limits import registry as limits
from appliance.paths import StationPaths
from appliance.registry.app import create_app
from appliance.registry.serving import make_runner
from appliance.settings.station import Config
from tests.registry_server import Server, Store

MOST = 8
FIRST = 1.0
PING = b"GET /v2/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Doored(Server):
    """A worker behind a door."""

    most = 1_000

    async def _start(self) -> None:
        self.runner = make_runner(create_app(self.services))
        await self.runner.setup()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        assert self.runner.server is not None
        self.door = Door(self.runner.server, self.listener, lambda _, peer: origin_of(peer[0]), self.tls)
        self.door._most = self.most
        self.door.open()
        self.port = self.listener.getsockname()[1]

    async def _stop(self) -> None:
        self.door.close()
        await super()._stop()
        self.listener.close()


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Doored]]:
    monkeypatch.setattr(limits, "WAITING_ORIGIN", MOST)
    monkeypatch.setattr(limits, "FIRST_REQUEST", FIRST)
    with Store(tmp_path) as store, contextlib.ExitStack() as stack:

        def make(**fields: Any) -> Doored:
            services = store.serve().services
            return stack.enter_context(Doored(services=services, **fields))

        yield make


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def closed(connection: socket.socket) -> bool:
    """Whether the other side has ended it; waits for that for as long as the socket's timeout."""
    try:
        return connection.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("sent", [b"", b"GET /v2/ HT", PING[:-2], b"\r\n"])
def test_a_connection_without_a_whole_request_is_closed_in_time(serve: Callable[..., Doored], sent: bytes) -> None:
    with connect(serve()) as silent:
        silent.sendall(sent)
        began = time.monotonic()
        assert closed(silent)
        assert time.monotonic() - began < 15 * FIRST


def test_what_came_in_last_is_answered_and_the_silent_hold_nothing_up(serve: Callable[..., Doored]) -> None:
    server = serve()

    async def shut() -> None:
        server.door.close()
        await server.door.last_in(FIRST)

    with connect(server) as late, connect(server) as silent:
        late.sendall(PING[:9])
        while len(server.door._guests.get("127.0.0.1", ())) < 2:
            time.sleep(0.01)
        over = asyncio.run_coroutine_threadsafe(shut(), server.loop)
        assert not over.done()
        late.sendall(PING[9:])
        assert late.recv(1_000).startswith(b"HTTP/1.1 200 ")
        assert not over.done()  # the other one may still send its own
        over.result(10 * FIRST)
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):  # it was not cut off by that
            silent.recv(1)


def test_a_head_that_comes_byte_by_byte_gains_no_time(serve: Callable[..., Doored]) -> None:
    with connect(serve()) as slow:
        slow.settimeout(0.05)
        for byte in PING[:-4] + b"\r\nX: " + b"x" * 4_000:
            try:
                slow.sendall(bytes([byte]))
            except OSError:
                return
            with contextlib.suppress(TimeoutError):
                if slow.recv(1) == b"":
                    return
        pytest.fail("it was never closed")


def test_silent_connections_of_an_address_push_out_one_another_and_nobody_else(serve: Callable[..., Doored]) -> None:
    server = serve()
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(server)) for _ in range(3 * MOST)]
        assert server.ask("GET", "/v2/").status == 200
        assert all(closed(one) for one in silent[: 2 * MOST - 1])


def test_connections_between_requests_are_bounded_and_those_being_served_are_not(serve: Callable[..., Doored]) -> None:
    server = serve()
    digest = server.push_blob("team/app", b"x" * 40_000_000)
    with contextlib.ExitStack() as stack:
        served = []
        for _ in range(3 * MOST):  # nobody reads: each answer is under way
            served.append(one := stack.enter_context(connect(server)))
            one.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert one.recv(12) == b"HTTP/1.1 200"
        idle = [stack.enter_context(connect(server)) for _ in range(2 * MOST)]
        for one in idle:
            with contextlib.suppress(OSError):
                one.sendall(PING)
        assert server.ask("GET", "/v2/").status == 200
        assert any(_ended(one) for one in idle)
        for one in served:
            got = 0
            while got < 39_000_000 and (piece := one.recv(1 << 20)):
                got += len(piece)
            assert got >= 39_000_000


def _ended(connection: socket.socket) -> bool:
    try:
        while connection.recv(65_536):
            connection.settimeout(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def test_all_addresses_together_are_bounded_by_the_descriptors_there_are(
    serve: Callable[..., Doored], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WAITING_ORIGIN", 10_000)
    monkeypatch.setattr(Doored, "most", MOST)
    server = serve()
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(server)) for _ in range(3 * MOST)]
        assert server.ask("GET", "/v2/").status == 200
        assert all(closed(one) for one in silent[: 2 * MOST - 1])


def test_silent_connections_of_many_addresses_do_not_shut_out_another_one(
    serve: Callable[..., Doored], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Doored, "most", 3 * MOST)
    monkeypatch.setattr(limits, "FIRST_REQUEST", 600.0)  # the bound alone, not the time
    server = serve()
    with contextlib.ExitStack() as stack:
        silent, address = [], ("127.0.0.1", server.port)
        for number in range(8 * MOST):
            source = (f"127.0.0.{2 + number % MOST}", 0)
            one = socket.create_connection(address, timeout=20, source_address=source)
            silent.append(stack.enter_context(one))
        assert server.ask("GET", "/v2/").status == 200
        assert all(closed(one) for one in silent[: 2 * MOST])


def test_a_handshake_that_never_ends_is_closed_and_counted(serve: Callable[..., Doored]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = serve(tls=context)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(server)) for _ in range(2 * MOST)]
        silent[-1].sendall(b"\x16\x03\x01")
        assert all(closed(one) for one in silent)


def ended(client: socket.socket, within: float) -> bool:
    """Whether the other side ends a connection on which a body comes on and on."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            client.sendall(b"x" * 1000)
        except (ConnectionError, ssl.SSLError):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_the_body_of_a_refused_request_is_not_read_for_long(
    serve: Callable[..., Doored], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    monkeypatch.setattr(limits, "LINGER", 0.1)
    monkeypatch.setattr(limits, "TLS_SHUTDOWN", 0.2)
    paths = StationPaths(tmp_path)
    context = None
    if secure:
        make_ca(paths, "bravo")
        make_server(paths, ["127.0.0.1"])
        context = server_context(Config(site="bravo", side="inside"), paths)
    server = serve(tls=context)
    with connect(server) as plain:
        trusting = ssl.create_default_context(cafile=str(Path(paths.tls) / "ca.pem")) if secure else None
        client = trusting.wrap_socket(plain, server_hostname="127.0.0.1") if trusting else plain
        head = b"PUT /v2/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n"
        client.sendall(head)
        assert client.recv(10) == b"HTTP/1.1 4"
        assert ended(client, within=8)
        client.close()


@pytest.fixture
def secured(serve: Callable[..., Doored], tmp_path: Path) -> Doored:
    paths = StationPaths(tmp_path)
    make_ca(paths, "bravo")
    make_server(paths, ["127.0.0.1"])
    return serve(tls=server_context(Config(site="bravo", side="inside"), paths))


@pytest.mark.parametrize("sent", [PING, b"P", b"PUT /v2/a/blobs/uploads/ HTTP/1.1\r\nContent-Length: 9\r\n\r\n123"])
def test_plain_http_at_the_port_of_tls_is_told_to_use_https(secured: Doored, sent: bytes) -> None:
    with connect(secured) as plain:
        plain.sendall(sent)
        plain.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: plain.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert f"Content-Length: {len(body)}".encode() in head
    (error,) = json.loads(body)["errors"]
    assert (error["code"], "https://" in error["message"]) == ("UNSUPPORTED", True)


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x00\x05hello", b"\0", b"\x80\x2e", b"get /"])
def test_what_is_neither_http_nor_tls_gets_no_answer_in_plain(secured: Doored, sent: bytes) -> None:
    with connect(secured) as odd:
        odd.sendall(sent)
        odd.settimeout(15 * FIRST)
        assert not odd.recv(4096).startswith(b"HTTP/")


def test_what_has_ended_is_forgotten(serve: Callable[..., Doored]) -> None:
    server = serve()
    for _ in range(3 * MOST):
        assert server.ask("GET", "/v2/").status == 200
    asyncio.run_coroutine_threadsafe(_until(lambda: server.door._count == 0), server.loop).result(20)
    assert not server.door._guests


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.05)
