"""Clients that are slow, many, rude or broken hold nobody else up and leave nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import random
import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.limits import registry as limits
from bundles.oci.digest import Digest
from tests.registry_server import Server, Store

DIGEST = Digest.of(b"never sent")
HEAD = f"POST /v2/team/app/blobs/uploads/?digest={DIGEST} HTTP/1.1\r\nHost: localhost\r\n"


def connect(server: Server) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port))
    client.settimeout(20)
    return client


def said(client: socket.socket) -> bytes:
    """Everything until the server closes, or says nothing for a while."""
    answer = b""
    with contextlib.suppress(ConnectionResetError, TimeoutError):
        while piece := client.recv(65_536):
            answer += piece
    return answer


def send(server: Server, data: str | bytes, patience: float = 1.0) -> bytes:
    with connect(server) as client:
        client.settimeout(patience)
        client.sendall(data if isinstance(data, bytes) else data.encode())
        return said(client)


@pytest.mark.parametrize("begun", ["", "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX-Slow"])
def test_a_connection_that_never_becomes_a_request_is_closed(
    store: Store, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    monkeypatch.setattr(limits, "KEEPALIVE", 0.3)
    with connect(store.serve()) as client:
        client.sendall(begun.encode())
        assert said(client) == b""


@pytest.mark.parametrize("kind", ["single post", "patch", "manifest"])
def test_a_client_that_falls_silent_inside_a_body_is_cut_off(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(limits, "BODY_IDLE", 0.3)
    monkeypatch.setattr(limits, "LINGER", 0.1)
    server = store.serve()
    location = server.ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
    line = {
        "single post": HEAD.partition("\r\n")[0],
        "patch": f"PATCH {location} HTTP/1.1",
        "manifest": "PUT /v2/team/app/manifests/v1 HTTP/1.1",
    }[kind]
    with connect(server) as client:
        client.sendall(f"{line}\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\npart".encode())
        assert b" 408 " in said(client)
    if kind == "patch":
        assert server.ask("DELETE", location).status == 204
        assert list(store.paths.uploads.iterdir()) == []


def test_a_client_that_takes_nothing_is_cut_off(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEND_IDLE", 0.3)
    server = store.serve()
    digest = server.push_blob("team/app", os.urandom(32_000_000))
    with connect(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(1.5)
        assert 0 < len(said(client)) < 32_000_000


def test_slow_downloads_hold_no_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REGISTRY_THREADS", 2)
    server = store.serve()
    digest = server.push_blob("team/app", os.urandom(16_000_000))
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(connect(server))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            client.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(10)
        assert len(server.ask("GET", f"/v2/team/app/blobs/{digest}").body) == 16_000_000


def test_a_thousand_idle_connections_hold_nobody_up(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(connect(server))
        digest = server.push_blob("team/app", b"served")
        assert server.ask("GET", f"/v2/team/app/blobs/{digest}").body == b"served"


def test_requests_sent_ahead_are_answered_in_order(server: Server) -> None:
    bodies = [b"first", os.urandom(limits.SMALL_BLOB * 10), b"", b"last"]
    digests = [server.push_blob("team/app", body) for body in bodies]
    requests = [f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n" for digest in digests]
    with connect(server) as client:
        client.sendall("".join(requests).encode())
        reader = client.makefile("rb")
        for body in bodies:
            while (line := reader.readline()) != b"\r\n":
                name, _, value = line.partition(b": ")
                if name == b"Content-Length":
                    length = int(value)
            assert length == len(body)
            assert reader.read(length) == body


BAD_FRAMES = {
    "a size that is none": "Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n",
    "a size without end": "Transfer-Encoding: chunked\r\n\r\n" + "F" * 10_000,
    "a chunk longer than it says": "Transfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n\r\n",
    "a body that breaks off": "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "a length and chunks": "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "two lengths": "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a negative length": "Content-Length: -1\r\n\r\nabc",
    "a length beyond numbers": "Content-Length: 99999999999999999999\r\n\r\nabc",
    "an unknown encoding": "Transfer-Encoding: gzip\r\n\r\nabc",
}
INCOMPLETE = {"a body that breaks off"}  # the server waits for more, until the client has gone


@pytest.mark.parametrize("case", sorted(BAD_FRAMES))
def test_a_badly_framed_body_is_refused_and_leaves_nothing(store: Store, server: Server, case: str) -> None:
    answer = send(server, HEAD + BAD_FRAMES[case])
    assert case in INCOMPLETE or answer.split()[1].startswith(b"4")
    assert server.ask("HEAD", f"/v2/team/app/blobs/{DIGEST}").status == 404
    deadline = time.monotonic() + 20
    while list(store.paths.uploads.iterdir()):  # until the server has seen that its client is gone
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "head",
    [
        f"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX-Large: {'a' * 100_000}\r\n\r\n",
        f"GET /v2/{'a' * 100_000}/tags/list HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"X-{number}: y\r\n" for number in range(10_000)) + "\r\n",
        "GET /v2/ HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET\r\n\r\n",
        "\r\n\r\n\r\n",
        "\x16\x03\x01 a TLS hello\r\n\r\n",
    ],
    ids=["huge header", "huge path", "many headers", "odd version", "half a line", "empty lines", "TLS"],
)
def test_a_head_that_is_none_is_refused_without_a_traceback(
    server: Server, head: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = send(server, head)
    assert answer == b"" or answer.split()[1].startswith(b"4")
    assert all(record.exc_info is None for record in caplog.records)
    assert server.ask("GET", "/v2/").status == 200


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(server: Server) -> None:
    body = b"asked for"
    with connect(server) as client:
        head = HEAD.replace(str(DIGEST), str(Digest.of(body)))
        client.sendall(f"{head}Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert client.recv(1000).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("expectation", [b"x", b"\xc3", b"200-ok", b""])
def test_an_expectation_that_cannot_be_met_is_refused(server: Server, expectation: bytes) -> None:
    answer = send(
        server, b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: " + expectation + b"\r\n\r\n"
    )
    assert answer.split()[1] in ((b"417", b"200") if not expectation else (b"417",))


def test_ten_thousand_abandoned_uploads_are_swept(store: Store, server: Server) -> None:
    sessions = server.services.uploads
    for _ in range(10_000):
        sessions.start("team/app").close()
    fresh = server.ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
    for path in store.paths.uploads.iterdir():
        if fresh.rpartition("/")[2] not in path.name:
            os.utime(path, (0, 0))
    assert sessions.sweep(limits.UPLOAD_EXPIRES) == 10_000
    assert server.ask("GET", fresh).status == 204


def memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def strange_requests(count: int, seed: int = 4) -> Iterator[bytes]:
    """Requests that are nearly right, from one seed."""
    dice = random.Random(seed)
    words = ["v2", "team", "app", "blobs", "uploads", "manifests", "tags", "list", "_catalog", "referrers", "v1", "..",
             str(DIGEST), "sha512:" + "0" * 128, "%2e%2e", "%", "\u20ac", "", "A", "a" * 300]  # fmt: skip
    queries = [
        "",
        "?n=5",
        "?n=x&last=%00",
        "?digest=" + str(DIGEST),
        "?mount=x&from=y",
        "?tag=a&tag=-",
        "?a=b=c&&=",
        "?%ff",
    ]
    headers = ["Range: bytes=0-", "Content-Range: 0-5", "If-None-Match: *", "If-Match: \"\"", "Accept: \xff", "X:",
               "Content-Type: application/vnd.oci.image.manifest.v1+json", "Transfer-Encoding: chunked", "Expect: x",
               "Connection: upgrade\r\nUpgrade: websocket", "Authorization: Basic ====", "Cookie: a=b; ;"]  # fmt: skip
    methods = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", ""]
    bodies = [b"", b"{}", b'{"schemaVersion": 2}', b"5\r\nabcde\r\n0\r\n\r\n", bytes(range(256)), b"[" * 5000]
    for _ in range(count):
        path = "/" + "/".join(dice.choices(words, k=dice.randrange(7)))
        lines = [
            f"{dice.choice(methods)} {path}{dice.choice(queries)} HTTP/1.{dice.randrange(2)}",
            "Host: localhost",
            "Connection: close",
        ]
        lines += dice.choices(headers, k=dice.randrange(4))
        body = dice.choice(bodies)
        if dice.random() < 0.7:
            lines.append(f"Content-Length: {len(body)}")
        request = bytearray("\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body)
        if dice.random() < 0.2 and request:
            request[dice.randrange(len(request))] = dice.randrange(256)
        yield bytes(request)


def test_strange_requests_get_no_5xx_no_traceback_and_no_memory(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def statuses(request: bytes) -> list[bytes]:
        answer = send(server, request, patience=0.2)
        return [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(statuses, strange_requests(500)))  # everything that is allocated once
        before = memory()
        found = [status for answer in threads.map(statuses, strange_requests(1500)) for status in answer]
    assert len(found) > 1000
    assert not [status for status in found if status.startswith(b"5")]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert memory() - before < 32_000_000


class Tracebacks(logging.Handler):
    """Keeps records that carry a traceback, and nothing of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(self.format(record))


@pytest.mark.long
def test_a_hundred_thousand_strange_requests_leave_memory_flat(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raw requests, mutated as before, of many seeds; memory is looked at after each ten thousand."""
    held: list[int] = []
    tracebacks = Tracebacks()
    logger = logging.getLogger("appliance")
    logger.addHandler(tracebacks)
    monkeypatch.setattr(logger, "propagate", False)  # pytest would keep every line: the test's memory, not the server's
    with ThreadPoolExecutor(8) as threads:
        for round_number in range(10):
            requests = strange_requests(10_000, seed=100 + round_number)
            answers = threads.map(lambda request: send(server, request, patience=0.2), requests)
            assert not [answer[:200] for answer in answers if b"HTTP/1.1 5" in answer or b"HTTP/1.0 5" in answer]
            held.append(memory())
    logger.removeHandler(tracebacks)
    assert tracebacks.found == []
    assert held[-1] - held[2] < 8_000_000, held


def test_a_connection_used_for_many_requests_stays_right(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for number in range(300):
        body = str(number).encode()
        connection.request("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(body)}", body)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (201, b"")
    connection.close()
