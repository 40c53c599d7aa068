"""Pulling blobs, and checking if content exists (specification: end-2; RFC 9110 for ranges and conditions)."""

from __future__ import annotations

import os

import pytest

from appliance.limits import registry as limits
from bundles.oci.digest import Digest
from tests.registry_server import Server

SMALL = os.urandom(2048)
LARGE = os.urandom(limits.SMALL_BLOB * 40)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("body", [b"", b"{}", SMALL, LARGE], ids=["empty", "tiny", "small", "large"])
def test_a_blob_comes_back_whole_with_exact_headers(
    server: Server, repository: str, body: bytes, algorithm: str
) -> None:
    digest = server.push_blob(repository, body, algorithm)
    for method in ("GET", "HEAD"):
        answer = server.ask(method, f"/v2/{repository}/blobs/{digest}")
        assert answer.status == 200
        assert answer.body == (body if method == "GET" else b"")
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.headers["Docker-Content-Digest"] == str(digest)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_the_repository_does_not_show_is_404(server: Server, repository: str, method: str) -> None:
    digest = server.push_blob(f"{repository}/other", SMALL)
    answer = server.ask(method, f"/v2/{repository}/blobs/{digest}")
    assert answer.status == 404
    if method == "GET":
        assert answer.code == "BLOB_UNKNOWN"


@pytest.mark.parametrize("digest", ["x", "sha256:bad", "md5:" + "0" * 32, "sha256:" + "A" * 64, "sha512:" + "0" * 64])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_malformed_or_unsupported_digest_is_400(server: Server, repository: str, method: str, digest: str) -> None:
    answer = server.ask(method, f"/v2/{repository}/blobs/{digest}")
    assert answer.status == 400
    if method != "HEAD":
        assert answer.code == "DIGEST_INVALID"


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, None),
        ("bytes=-500", -500, None),
        ("bytes=0-0", 0, 1),
        ("bytes=2000-999999999", 2000, None),
        ("bytes=-999999999", 0, None),
        ("Bytes = 1-2".replace(" = ", "="), 1, 3),
    ],
)
def test_a_range_comes_back_as_asked(
    server: Server, repository: str, body: bytes, asked: str, start: int, end: int | None
) -> None:
    digest = server.push_blob(repository, body)
    answer = server.ask("GET", f"/v2/{repository}/blobs/{digest}", headers={"Range": asked})
    expected = body[start:end]
    first = start % len(body)
    assert (answer.status, answer.body) == (206, expected)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(body)}"
    assert answer.headers["Content-Length"] == str(len(expected))
    assert answer.headers["Docker-Content-Digest"] == str(digest)


@pytest.mark.parametrize("asked", ["bytes=2048-", "bytes=5000-10000", "bytes=500-0", "bytes=-0"])
def test_a_range_outside_the_blob_is_416_and_says_how_long_it_is(server: Server, repository: str, asked: str) -> None:
    digest = server.push_blob(repository, SMALL)
    answer = server.ask("GET", f"/v2/{repository}/blobs/{digest}", headers={"Range": asked})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */2048")


@pytest.mark.parametrize("asked", ["items=0-1", "bytes=0-1,3-4", "bytes=x-y", "bytes=-", "bytes", "bytes=1-2-3"])
def test_a_range_header_that_is_none_is_ignored(server: Server, repository: str, asked: str) -> None:
    digest = server.push_blob(repository, SMALL)
    answer = server.ask("GET", f"/v2/{repository}/blobs/{digest}", headers={"Range": asked})
    assert (answer.status, answer.body) == (200, SMALL)


def test_an_interrupted_pull_goes_on_where_it_was_if_the_bytes_are_the_same(server: Server, repository: str) -> None:
    digest = server.push_blob(repository, SMALL)
    other = Digest.of(b"other")
    path = f"/v2/{repository}/blobs/{digest}"
    same = server.ask("GET", path, headers={"Range": "bytes=1000-", "If-Range": f'"{digest}"'})
    changed = server.ask("GET", path, headers={"Range": "bytes=1000-", "If-Range": f'"{other}"'})
    assert (same.status, changed.status) == (206, 200)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"', '"x", "{}"', "*"])
def test_what_the_client_has_is_not_sent_again(server: Server, repository: str, method: str, form: str) -> None:
    digest = server.push_blob(repository, SMALL)
    path = f"/v2/{repository}/blobs/{digest}"
    answer = server.ask(method, path, headers={"If-None-Match": form.format(digest)})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", f'"{digest}"')
    assert server.ask(method, path, headers={"If-None-Match": '"other"'}).status == 200


def test_a_condition_that_does_not_hold_is_412(server: Server, repository: str) -> None:
    digest = server.push_blob(repository, SMALL)
    path = f"/v2/{repository}/blobs/{digest}"
    assert server.ask("GET", path, headers={"If-Match": '"other"'}).status == 412
    assert server.ask("GET", path, headers={"If-Match": f'"{digest}"'}).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_condition_tells_nothing_about_a_blob_the_repository_does_not_show(
    server: Server, repository: str, method: str
) -> None:
    digest = server.push_blob(f"{repository}/other", SMALL)
    answer = server.ask(method, f"/v2/{repository}/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'})
    assert answer.status == 404


def test_many_requests_follow_one_another_on_one_connection(server: Server, repository: str) -> None:
    import http.client

    digests = [server.push_blob(repository, body) for body in (b"", SMALL, LARGE)]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for digest, body in list(zip(digests, (b"", SMALL, LARGE), strict=True)) * 3:
        connection.request("GET", f"/v2/{repository}/blobs/{digest}")
        assert connection.getresponse().read() == body
        connection.request("GET", f"/v2/{repository}/blobs/{digest}", headers={"If-None-Match": f'"{digest}"'})
        assert connection.getresponse().read() == b""
    connection.close()
