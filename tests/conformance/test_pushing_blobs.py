"""Pushing blobs: monolithic, streamed, chunked, resumed, cancelled (specification: end-4, -5, -6, -13, -14)."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bundles.oci.digest import Digest
from tests.registry_server import Answer, Server, Store

BODY = os.urandom(300_000)
ALGORITHMS = pytest.mark.parametrize("algorithm", ["sha256", "sha512"])


def start(server: Server, repository: str, query: str = "") -> str:
    answer = server.ask("POST", f"/v2/{repository}/blobs/uploads/{query}", headers={"Content-Length": "0"})
    assert (answer.status, answer.body) == (202, b"")
    return str(answer.headers["Location"])


def put(server: Server, location: str, digest: Digest | str, body: Any = b"", **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("PUT", f"{location}?digest={digest}", body, sent)


def chunk(server: Server, location: str, first: int, body: bytes, method: str = "PATCH") -> Answer:
    headers = {"Content-Range": f"{first}-{first + len(body) - 1}", "Content-Type": "application/octet-stream"}
    return server.ask(method, location, body, headers)


def assert_created(server: Server, answer: Answer, repository: str, body: bytes, digest: Digest) -> None:
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/{repository}/blobs/{digest}"
    assert answer.headers["Docker-Content-Digest"] == str(digest)
    assert server.ask("GET", answer.headers["Location"]).body == body


@ALGORITHMS
@pytest.mark.parametrize("body", [b"", b"{}", BODY], ids=["empty", "tiny", "large"])
def test_post_then_put(server: Server, repository: str, body: bytes, algorithm: str) -> None:
    digest = Digest.of(body, algorithm)
    answer = put(server, start(server, repository), digest, body)
    assert_created(server, answer, repository, body, digest)


@ALGORITHMS
@pytest.mark.parametrize("body", [b"", b"{}", BODY], ids=["empty", "tiny", "large"])
def test_a_single_post(server: Server, repository: str, body: bytes, algorithm: str) -> None:
    digest = Digest.of(body, algorithm)
    answer = server.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body)
    assert_created(server, answer, repository, body, digest)


@ALGORITHMS
def test_a_stream_of_unknown_length(server: Server, repository: str, algorithm: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (BODY[:100_000], BODY[100_000:])

    digest = Digest.of(BODY, algorithm)
    location = start(server, repository, f"?digest-algorithm={algorithm}")
    answer = server.ask("PATCH", location, pieces())
    assert (answer.status, answer.headers["Range"]) == (202, "0-299999")
    assert_created(server, put(server, answer.headers["Location"], digest), repository, BODY, digest)


@ALGORITHMS
@pytest.mark.parametrize("last_in_put", [False, True])
def test_chunks_in_order(server: Server, repository: str, algorithm: str, last_in_put: bool) -> None:
    digest = Digest.of(BODY, algorithm)
    location = start(server, repository)
    for first in (0, 100_000):
        answer = chunk(server, location, first, BODY[first : first + 100_000])
        assert (answer.status, answer.headers["Range"]) == (202, f"0-{first + 99_999}")
        location = answer.headers["Location"]
    if last_in_put:
        answer = chunk(server, f"{location}?digest={digest}", 200_000, BODY[200_000:], "PUT")
    else:
        location = chunk(server, location, 200_000, BODY[200_000:]).headers["Location"]
        answer = put(server, location, digest)
    assert_created(server, answer, repository, BODY, digest)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("wrong", [0, 50, 200])
def test_a_chunk_out_of_order_is_416_and_changes_nothing(
    server: Server, repository: str, wrong: int, method: str
) -> None:
    digest = Digest.of(BODY)
    location = chunk(server, start(server, repository), 0, BODY[:100]).headers["Location"]
    target = f"{location}?digest={digest}" if method == "PUT" else location
    answer = chunk(server, target, wrong, BODY[wrong : wrong + 100], method)
    assert (answer.status, answer.headers["Range"], answer.headers["Location"]) == (416, "0-99", location)
    status = server.ask("GET", location)
    assert (status.status, status.headers["Range"]) == (204, "0-99")
    assert put(server, location, digest, BODY[100:]).status == 201


def test_the_first_chunk_begins_at_zero(server: Server, repository: str) -> None:
    location = start(server, repository)
    assert chunk(server, location, 5, b"later").status == 416
    assert server.ask("GET", location).headers["Range"] == "0-0"


@pytest.mark.parametrize("header", ["bytes 0-9/10", "0-", "-9", "a-b", "9-0", "0-9-10", "0-9999999999999999999999"])
def test_a_malformed_content_range_is_400(server: Server, repository: str, header: str) -> None:
    location = start(server, repository)
    answer = server.ask("PATCH", location, b"0123456789", {"Content-Range": header})
    assert (answer.status, answer.code) == (400, "BLOB_UPLOAD_INVALID")
    assert server.ask("GET", location).headers["Range"] == "0-0"


def test_a_chunk_that_is_not_as_long_as_it_says_is_400_and_changes_nothing(server: Server, repository: str) -> None:
    location = chunk(server, start(server, repository), 0, BODY[:10]).headers["Location"]
    known = server.ask("PATCH", location, b"12345", {"Content-Range": "10-19"})
    streamed = server.ask("PATCH", location, iter([b"12345"]), {"Content-Range": "10-19"})
    assert [(answer.status, answer.code) for answer in (known, streamed)] == [(400, "SIZE_INVALID")] * 2
    assert server.ask("GET", location).headers["Range"] == "0-9"
    assert put(server, location, Digest.of(BODY), BODY[10:]).status == 201


def test_the_status_of_an_upload_says_how_far_it_is(server: Server, repository: str) -> None:
    location = start(server, repository)
    fresh = server.ask("GET", location)
    assert (fresh.status, fresh.headers["Range"], fresh.headers["Location"]) == (204, "0-0", location)
    server.ask("PATCH", location, BODY)
    assert server.ask("GET", location).headers["Range"] == f"0-{len(BODY) - 1}"


def test_a_push_whose_connection_broke_goes_on_where_it_was(server: Server, repository: str) -> None:
    body = BODY * 20
    location = start(server, repository)
    broken = http.client.HTTPConnection("127.0.0.1", server.port)
    broken.putrequest("PATCH", location)
    broken.putheader("Content-Length", str(len(body)))
    broken.endheaders(body[: len(body) // 2])
    broken.close()
    deadline = time.monotonic() + 20
    while (stands := int(server.ask("GET", location).headers["Range"].removeprefix("0-")) + 1) == 1:
        assert time.monotonic() < deadline
    assert stands <= len(body) // 2
    assert put(server, location, Digest.of(body), body[stands:]).status == 201


@pytest.mark.parametrize("flow", ["post", "put", "patch", "chunk"])
@ALGORITHMS
def test_content_with_another_digest_is_400_and_leaves_no_blob(
    server: Server, repository: str, flow: str, algorithm: str
) -> None:
    digest = Digest.of(b"promised", algorithm)
    if flow == "post":
        answer = server.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", b"sent")
    else:
        location = start(server, repository)
        if flow == "patch":
            location = server.ask("PATCH", location, b"sent").headers["Location"]
        if flow == "chunk":
            location = chunk(server, location, 0, b"sent").headers["Location"]
        answer = put(server, location, digest, b"sent" if flow == "put" else b"")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert server.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404
    assert server.ask("HEAD", f"/v2/{repository}/blobs/{Digest.of(b'sent', algorithm)}").status == 404


@pytest.mark.parametrize("digest", ["", "sha256", "sha256:bad", "md5:" + "0" * 32, "sha256:" + "F" * 64])
def test_a_malformed_or_unsupported_digest_is_400_and_the_upload_stays(
    server: Server, repository: str, digest: str
) -> None:
    location = start(server, repository)
    answer = put(server, location, digest, b"x")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert server.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", b"x").code == "DIGEST_INVALID"
    assert put(server, location, Digest.of(b"x"), b"x").status == 201


def test_a_put_without_a_digest_is_400(server: Server, repository: str) -> None:
    answer = server.ask("PUT", start(server, repository), b"x")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_an_unsupported_algorithm_is_400_at_once(server: Server, repository: str) -> None:
    answer = server.ask("POST", f"/v2/{repository}/blobs/uploads/?digest-algorithm=md5")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_the_digest_may_be_of_another_algorithm_than_the_upload_began_with(server: Server, repository: str) -> None:
    location = start(server, repository, "?digest-algorithm=sha256")
    server.ask("PATCH", location, BODY)
    assert put(server, location, Digest.of(BODY, "sha512")).status == 201


def test_a_cancelled_upload_is_gone(server: Server, repository: str) -> None:
    location = start(server, repository)
    server.ask("PATCH", location, BODY)
    assert server.ask("DELETE", location).status == 204
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        answer = server.ask(method, f"{location}?digest={Digest.of(BODY)}")
        assert answer.status == 404
        assert answer.code == "BLOB_UPLOAD_UNKNOWN"


def test_a_finished_upload_is_gone(server: Server, repository: str) -> None:
    location = start(server, repository)
    assert put(server, location, Digest.of(b"x"), b"x").status == 201
    assert server.ask("GET", location).status == 404


@pytest.mark.parametrize("upload", ["x", "0" * 32, "0" * 32 + "-sha256", "..", "%2e%2e", "a" * 5000])
def test_an_upload_nobody_began_is_unknown(server: Server, repository: str, upload: str) -> None:
    answer = server.ask("PATCH", f"/v2/{repository}/blobs/uploads/{upload}", b"x")
    assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_upload_belongs_to_the_repository_it_began_in(server: Server, repository: str) -> None:
    location = start(server, repository)
    elsewhere = location.replace(repository, f"{repository}/other")
    assert put(server, elsewhere, Digest.of(b"x"), b"x").status == 404
    assert put(server, location, Digest.of(b"x"), b"x").status == 201


def test_a_body_with_a_content_encoding_is_kept_as_it_came(server: Server, repository: str) -> None:
    import gzip

    packed = gzip.compress(b"layer" * 100)
    answer = put(server, start(server, repository), Digest.of(packed), packed, Content_Encoding="gzip")
    assert answer.status == 201
    assert server.ask("GET", answer.headers["Location"]).body == packed


def test_a_minimum_for_chunks_is_announced_where_the_site_has_one(tmp_path: Any) -> None:
    from appliance.registry.services import RegistrySettings

    with Store(tmp_path) as store:
        server = store.serve(settings=RegistrySettings(chunk_minimum=65_536))
        answer = server.ask("POST", "/v2/a/blobs/uploads/")
        assert answer.headers["OCI-Chunk-Min-Length"] == "65536"


def test_the_same_blob_may_be_pushed_again(server: Server, repository: str) -> None:
    assert server.push_blob(repository, BODY) == server.push_blob(repository, BODY)
    assert server.ask("GET", f"/v2/{repository}/blobs/{Digest.of(BODY)}").body == BODY
