"""An open station is for the programs of its own machine, and not for web pages in a browser there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.registry_server import Server, Store

UPLOADS = "/v2/team/app/blobs/uploads/"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Store(tmp_path) as store:
        yield store.serve()


@pytest.mark.parametrize(
    "host", ["127.0.0.1:5000", "localhost:5000", "localhost", "[::1]:5000", "127.8.9.1", "LOCALHOST"]
)
def test_loopback_names_are_answered(server: Server, host: str) -> None:
    assert server.ask("GET", "/v2/", headers={"Host": host}).status == 200
    assert server.ask("POST", UPLOADS, headers={"Host": host, "Origin": f"http://{host}"}).status == 202


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:5000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.0.2.1",
        "[::2]",
        "a@b",
        "127.999.1.1",
        "[::ffff:192.0.2.1]",
        "localhost, evil.example",
        "x@127.0.0.1",
        "evil.example@localhost:5000",
        "@localhost",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:80:80",
        "localhost:+80",
        "localhost/",
        "localhost?evil.example",
        "localhost#evil.example",
        "localhost\\evil.example",
        "http://localhost",
        "localhost.",
        "localhost evil.example",
        "::1",
        "[127.0.0.1]",
        "[::1",
        "[::1%lo]",
        "[::1]x",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "0.0.0.0",
        "",
    ],
)
def test_another_name_is_refused_for_reads_and_writes(server: Server, host: str) -> None:
    for method, path in (("GET", "/v2/"), ("GET", "/v2/_catalog"), ("HEAD", "/v2/"), ("POST", UPLOADS)):
        assert server.ask(method, path, headers={"Host": host}).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_write_from_another_origin_is_refused(server: Server, headers: dict[str, str]) -> None:
    answer = server.ask("POST", UPLOADS, headers=headers)
    assert (answer.status, answer.code) == (403, "DENIED")
    assert server.ask("DELETE", "/v2/team/app/manifests/v1", headers=headers).status == 403


def test_two_host_headers_are_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert raw.recv(12) in (b"HTTP/1.0 400", b"HTTP/1.1 400")


def test_a_write_that_names_no_host_is_refused(server: Server) -> None:
    for method, path in ((b"POST", UPLOADS.encode()), (b"PUT", b"/v2/team/app/manifests/v1")):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
            raw.sendall(b"%s %s HTTP/1.0\r\nContent-Length: 0\r\n\r\n" % (method, path))
            assert raw.recv(12) == b"HTTP/1.0 403"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"GET /v2/ HTTP/1.0\r\n\r\n")
        assert raw.recv(12) == b"HTTP/1.0 200"  # a health check of old: no page of a browser


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://evil.example", b"403"),
        (b"http://evil.example:5000", b"403"),
        (b"http://localhost@evil.example", b"403"),
        (b"https://192.0.2.1", b"403"),
        (b"http://x@127.0.0.1", b"403"),
        (b"http://127.0.0.1:5000", b"202"),
    ],
)
def test_the_host_of_an_absolute_target_counts_beside_the_header(server: Server, target: bytes, status: bytes) -> None:
    head = b"POST %s%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(head % (target, UPLOADS.encode()))
        assert raw.recv(12) == b"HTTP/1.1 " + status


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /v2/\r\n\r\n",
        b"GET /v2/ HTTP/0.9\r\nHost: localhost\r\n\r\n",
        b"GET /v2/ HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"POST /v2/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /v2/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity, chunked, x\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_plain_http_1_is_refused(server: Server, request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(request_)
        answer = b""
        while piece := raw.recv(4096):
            answer += piece
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 505", b"HTTP/1.0 505")) or not answer
        assert answer.count(b"HTTP/1.") <= 1
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize(
    "path",
    [
        "a%00b/manifests/x", "a/manifests/x%00", "_catalog?last=%00", "a/tags/list?last=%00", "a/tags/list?n=%00",
        "a/referrers/sha256:%00?artifactType=%00", "a/blobs/uploads/%00", "a/blobs/sha256:%00",
    ],
)  # fmt: skip
def test_a_nul_in_any_path_or_parameter_is_a_bad_request(server: Server, path: str) -> None:
    answer = requests.get(f"http://127.0.0.1:{server.port}/v2/{path}", timeout=10)
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1)


@pytest.mark.parametrize("size", [b"x", b"-2", b"+2", b"0x2", b"2_0", b" 2", b"", b"ffffffffffffffffffff"])
def test_a_chunk_of_a_malformed_size_stores_nothing(server: Server, size: bytes) -> None:
    location = server.ask("POST", UPLOADS).headers["Location"]
    before = server.ask("GET", location).headers["Range"]
    head = b"PATCH %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" % location.encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(head + size + b"\r\nab\r\n0\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := raw.recv(4096):
            answer += piece
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")) or not answer
    assert answer.count(b"HTTP/1.") <= 1
    after = server.ask("GET", location)
    assert after.status == 404 or after.headers["Range"] == before


def test_an_extension_of_a_chunk_of_any_length_is_passed_over(server: Server) -> None:
    location = server.ask("POST", UPLOADS).headers["Location"]
    head = b"PATCH %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" % location.encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(head + b"Connection: close\r\n\r\n2;" + b"a" * 100_000 + b"\r\nab\r\n0\r\n\r\n")
        answer = b""
        while piece := raw.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert server.ask("GET", location).headers["Range"] == "0-1"
