"""Determining support, and what every answer has in common (specification: API, Error Codes)."""

from __future__ import annotations

import pytest

from tests.conformance.shapes import image
from tests.registry_server import Server

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_base_says_that_this_is_a_registry(server: Server, method: str, path: str) -> None:
    answer = server.ask(method, path)
    assert answer.status == 200
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == (b"{}" if method == "GET" else b"")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2/", "GET, HEAD"),
        ("DELETE", "/v2/_catalog", "GET, HEAD"),
        ("PUT", f"/v2/a/blobs/{DIGEST}", "GET, HEAD, DELETE"),
        ("GET", "/v2/a/blobs/uploads/", "POST"),
        ("POST", "/v2/a/blobs/uploads/x", "GET, HEAD, PATCH, PUT, DELETE"),
        ("POST", "/v2/a/manifests/v1", "GET, HEAD, PUT, DELETE"),
        ("PUT", "/v2/a/tags/list", "GET, HEAD"),
        ("OPTIONS", f"/v2/a/referrers/{DIGEST}", "GET, HEAD"),
    ],
)
def test_a_method_the_path_does_not_have_is_405_and_names_those_it_has(
    server: Server, method: str, path: str, allowed: str
) -> None:
    answer = server.ask(method, path)
    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "UNSUPPORTED", allowed)


@pytest.mark.parametrize(
    "path", ["/", "/v1/", "/v2/a", "/v2/a/b", "/v2/a/tags/all", "/v2/a/manifests/x/y", "/v3/a/tags/list"]
)
def test_a_path_the_api_does_not_have_is_404(server: Server, path: str) -> None:
    answer = server.ask("GET", path)
    assert answer.status == 404
    assert answer.code


@pytest.mark.parametrize(
    "name",
    ["A", "a%2Fb", "a//b", "..", "a/../b", "a%00b", "%61%", "a_", "-a", "a" * 256, "%E2%82%AC", "a%5Cb", "a%20b"],
)
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", "tags/list"),
        ("GET", "manifests/v1"),
        ("GET", f"blobs/{DIGEST}"),
        ("POST", "blobs/uploads/"),
        ("GET", f"referrers/{DIGEST}"),
    ],
)
def test_a_malformed_name_is_refused_by_name(server: Server, name: str, method: str, rest: str) -> None:
    answer = server.ask(method, f"/v2/{name}/{rest}")
    assert (answer.status, answer.code) == (400, "NAME_INVALID")


def test_an_error_body_is_the_specifications_and_escapes_what_the_client_said(server: Server) -> None:
    answer = server.ask("GET", "/v2/a/manifests/%22%3Cb%3E%0A%E2%80%AE")
    assert answer.status == 404
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json["errors"][0]["detail"] == '"<b>\n\u202e'
    assert answer.body.isascii()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["blobs/uploads/manifests", "tags/list", "manifests", "v2/v2", "a/blobs/uploads"])
def test_a_repository_may_be_named_like_the_apis_own_words(server: Server, name: str) -> None:
    digest = server.push_blob(name, name.encode())
    assert server.ask("GET", f"/v2/{name}/blobs/{digest}").body == name.encode()
    assert server.ask("GET", f"/v2/{name}/tags/list").json == {"name": name, "tags": []}


def test_escapes_in_a_path_are_resolved_once(server: Server, repository: str) -> None:
    digest = str(server.push_blob(repository, b"escaped"))
    assert server.ask("GET", f"/v2/{repository}/blobs/{digest.replace(':', '%3A')}").body == b"escaped"
    assert server.ask("GET", f"/v2/{repository}/blobs/{digest.replace(':', '%253A')}").status == 400


def test_head_has_the_headers_of_get_for_everything_that_can_be_read(server: Server, repository: str) -> None:
    digest = image().push(server, repository, "v1")
    upload = server.ask("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
    lists = ["/v2/", "/v2/_catalog", f"/v2/{repository}/tags/list?n=1", f"/v2/{repository}/referrers/{digest}"]
    for path in [*lists, f"/v2/{repository}/manifests/v1", upload, f"/v2/{repository}/manifests/none"]:
        head, whole = server.ask("HEAD", path), server.ask("GET", path)
        assert (head.status, head.body) == (whole.status, b"")
        for name in set(whole.headers.keys()) - {"Date"}:
            assert head.headers[name] == whole.headers[name]
